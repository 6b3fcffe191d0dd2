"""Settings: defaults, values, and what a bad value says."""

import os
import socket
from pathlib import Path

import pytest

from sitebackup.engine.threads import Threads
from sitebackup.settings import APP_DIRECTORY, SettingError, Settings
from tests.support.fuse import mounted


def test_unset_settings_have_their_defaults(tmp_path: Path) -> None:
    settings = Settings.from_environment({"HOME": str(tmp_path)})
    assert settings == Settings(
        allowed_roots=(APP_DIRECTORY, str(tmp_path)),
        concurrency=32,
        list_budget=20_000,
        source=socket.gethostname(),
    )


def test_settings_are_read_from_the_environment() -> None:
    settings = Settings.from_environment(
        {
            "BACKUP_ALLOWED_ROOTS": "/srv/a:/srv/b/",
            "WEBSITE_SITE_NAME": "my-app",
            "BACKUP_CONCURRENCY": "8",
            "BACKUP_LIST_BUDGET": "1000",
            "BACKUP_LOG_PATHS": "False",
        }
    )
    assert settings == Settings(("/srv/a", "/srv/b"), 8, 1_000, log_paths=False, source="my-app")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("BACKUP_CONCURRENCY", "0", "BACKUP_CONCURRENCY takes a whole number from 1 to 100, not '0'."),
        ("BACKUP_CONCURRENCY", "many", "not 'many'"),
        ("BACKUP_CONCURRENCY", "1.5", "not '1.5'"),
        ("BACKUP_CONCURRENCY", "٣", "not '٣'"),
        ("BACKUP_LIST_BUDGET", "-1", "BACKUP_LIST_BUDGET takes a whole number from 1 to 200000, not '-1'."),
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


def test_an_allowed_root_that_is_a_link_means_what_it_leads_to_now(tmp_path: Path) -> None:
    old, new, current = (tmp_path / name for name in ("old", "new", "current"))
    old.mkdir()
    new.mkdir()
    current.symlink_to(old)
    settings = Settings.from_environment({"BACKUP_ALLOWED_ROOTS": str(current)})
    asked = (str(current), str(old), str(new))
    assert [settings.allows(path) for path in asked] == [True, True, False]
    current.unlink()
    current.symlink_to(new)
    assert [settings.allows(path) for path in asked] == [True, False, True]


async def test_an_allowed_root_on_a_silent_share_does_not_hold_up_another_one(tmp_path: Path) -> None:
    for name in ("source", "site"):
        (tmp_path / name / "current").mkdir(parents=True)
    (tmp_path / "link").symlink_to("site")
    roots = (tmp_path / "share" / "current", tmp_path / "site", tmp_path / "link")
    settings = Settings.from_environment({"BACKUP_ALLOWED_ROOTS": ":".join(map(str, roots))})
    threads = Threads(1, 10)
    with mounted(tmp_path / "source", tmp_path / "share") as share:
        share.trouble = lambda operation, path: 0
        for path in (tmp_path / "site" / "current", tmp_path / "link" / "current"):
            assert await threads(lambda path=path: settings.allows(str(path)))
    threads.close()
