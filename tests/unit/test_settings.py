"""Settings: defaults, values, and what a bad value says."""

import os
from pathlib import Path

import pytest

from sitebackup.settings import APP_DIRECTORY, SettingError, Settings


def test_unset_settings_have_their_defaults(tmp_path: Path) -> None:
    settings = Settings.from_environment({"HOME": str(tmp_path)})
    assert settings == Settings(
        allowed_roots=(APP_DIRECTORY, str(tmp_path)), concurrency=32, list_budget=20_000
    )


def test_settings_are_read_from_the_environment() -> None:
    settings = Settings.from_environment(
        {
            "BACKUP_ALLOWED_ROOTS": "/srv/a:/srv/b/",
            "BACKUP_CONCURRENCY": "8",
            "BACKUP_LIST_BUDGET": "1000",
            "BACKUP_LOG_PATHS": "False",
        }
    )
    assert settings == Settings(("/srv/a", "/srv/b"), concurrency=8, list_budget=1_000, log_paths=False)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("BACKUP_CONCURRENCY", "0", "BACKUP_CONCURRENCY takes a whole number from 1 to 100, not '0'."),
        ("BACKUP_CONCURRENCY", "many", "not 'many'"),
        ("BACKUP_CONCURRENCY", "1.5", "not '1.5'"),
        ("BACKUP_CONCURRENCY", "٣", "not '٣'"),
        ("BACKUP_LIST_BUDGET", "-1", "BACKUP_LIST_BUDGET takes a whole number from 1 to 1000000, not '-1'."),
        ("BACKUP_LOG_PATHS", "no", "BACKUP_LOG_PATHS takes true or false, not 'no'."),
        ("BACKUP_ALLOWED_ROOTS", "srv", "BACKUP_ALLOWED_ROOTS takes absolute paths .* 'srv' is relative."),
    ],
)
def test_a_bad_value_says_which_setting_and_what_it_takes(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        Settings.from_environment({name: value})


def test_only_an_allowed_root_and_what_is_below_it_may_be_backed_up(tmp_path: Path) -> None:
    allowed, other = tmp_path / "site", tmp_path / "site-private"
    (allowed / "sub").mkdir(parents=True)
    other.mkdir()
    (allowed / "out").symlink_to(other)
    (tmp_path / "in").symlink_to(allowed / "sub")
    settings = Settings.from_environment({"BACKUP_ALLOWED_ROOTS": str(allowed)})
    permitted = [allowed, allowed / "sub", allowed / "missing", tmp_path / "in"]
    forbidden = [other, tmp_path, Path("/"), allowed / "out", Path(f"{allowed}/../site-private")]
    assert [settings.allows(os.fspath(path)) for path in permitted] == [True] * len(permitted)
    assert [settings.allows(os.fspath(path)) for path in forbidden] == [False] * len(forbidden)
