"""The local stack's settings, and what a status document looks like in words."""

from pathlib import Path

import pytest

from localstack.errors import UsageError
from localstack.progress import Tally
from localstack.settings import (
    PROJECT,
    EmulatorPorts,
    StackSettings,
    names_other_backup_storage,
    names_other_storage,
    needs_emulator,
    with_emulator,
)


def test_without_variables_the_ports_are_the_usual_ones_and_the_blobs_stay_in_the_project() -> None:
    assert StackSettings.from_environ({}) == StackSettings(
        7071, EmulatorPorts(10000, 10001, 10002), PROJECT / ".azurite"
    )


def test_every_variable_is_heard_and_an_empty_one_is_none() -> None:
    environ = {
        "PORT": "1",
        "AZURITE_BLOB_PORT": "2",
        "AZURITE_QUEUE_PORT": "3",
        "AZURITE_TABLE_PORT": "",
        "AZURITE_DATA": "/srv/blobs",
    }

    assert StackSettings.from_environ(environ) == StackSettings(
        1, EmulatorPorts(2, 3, 10002), Path("/srv/blobs")
    )


def test_data_may_be_kept_nowhere_or_beside_the_project() -> None:
    assert StackSettings.from_environ({"AZURITE_DATA": ":memory:"}).data is None
    assert StackSettings.from_environ({"AZURITE_DATA": "blobs"}).data == PROJECT / "blobs"


@pytest.mark.parametrize("text", ["-1", "65536", "http", "80 ", "٣", "0"])
def test_what_is_no_port_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match="PORT="):
        StackSettings.from_environ({"PORT": text})


@pytest.mark.parametrize(
    ("environ", "other"),
    [
        ({}, False),
        ({"AzureWebJobsStorage": ""}, False),
        ({"AzureWebJobsStorage": "UseDevelopmentStorage=true"}, False),
        ({"AzureWebJobsStorage": "AccountName=mine;AccountKey=x"}, True),
        ({"AzureWebJobsStorage__blobServiceUri": "https://mine.blob.core.windows.net"}, True),
        ({"AzureWebJobsStorage__accountName": ""}, False),
    ],
)
def test_the_emulator_stays_out_of_the_way_of_a_named_storage(environ: dict[str, str], other: bool) -> None:
    own = {name.replace("AzureWebJobsStorage", "BackupStorage"): value for name, value in environ.items()}
    assert names_other_storage(environ) is other
    assert names_other_backup_storage(environ) is other
    assert names_other_backup_storage(own) is other
    assert not names_other_storage(own)


@pytest.mark.parametrize(
    ("storage", "backups", "needed", "elsewhere"),
    [
        ("", "", True, False),
        ("AccountName=mine", "", False, True),
        ("", "AccountName=mine", True, True),
        ("AccountName=mine", "UseDevelopmentStorage=true", True, False),
        ("AccountName=mine", "AccountName=ours", False, True),
    ],
)
def test_backups_go_where_the_setting_of_their_own_says(
    storage: str, backups: str, needed: bool, elsewhere: bool
) -> None:
    environ = {"AzureWebJobsStorage": storage, "BackupStorage": backups}
    assert needs_emulator(environ) is needed
    assert names_other_backup_storage(environ) is elsewhere


def test_each_setting_that_means_the_emulator_says_where_it_is() -> None:
    develop = "UseDevelopmentStorage = true;"
    assert with_emulator({"A": "1"}, "here") == {"A": "1", "AzureWebJobsStorage": "here"}
    assert with_emulator({"AzureWebJobsStorage": develop, "BackupStorage": develop}, "here") == {
        "AzureWebJobsStorage": "here",
        "BackupStorage": "here",
    }
    other = {"AzureWebJobsStorage": "AccountName=mine", "BackupStorage": develop}
    assert with_emulator(other, "here") == {**other, "BackupStorage": "here"}
    assert with_emulator({"BackupStorage__accountName": "mine"}, "here") == {
        "BackupStorage__accountName": "mine",
        "AzureWebJobsStorage": "here",
    }


def test_the_connection_string_leads_to_the_three_ports() -> None:
    text = EmulatorPorts(1, 2, 3).connection_string

    assert "BlobEndpoint=http://127.0.0.1:1/devstoreaccount1;" in text
    assert "QueueEndpoint=http://127.0.0.1:2/devstoreaccount1;" in text
    assert "TableEndpoint=http://127.0.0.1:3/devstoreaccount1;" in text


def test_a_status_is_put_into_words_with_every_end_that_a_file_can_take() -> None:
    files = {"total": 4000, "done": 3990, "failed": 7, "vanished": 0, "skipped": 3}
    tally = Tally.of({"phase": "copying", "files": files, "bytes": {"total": 2_000_000, "done": 500}})

    assert tally.files == "3,990 of 4,000 files, 7 failed, 3 skipped"
    assert tally.sizes == "500 bytes of 2.0 MB"


def test_what_is_different_from_the_run_before_is_put_into_words() -> None:
    files = {"total": 9_999, "done": 9_999, "new": 12, "changed": 3, "unchanged": 9_984, "gone": 1}
    sizes = {"total": 3_000_000, "done": 3_000_000, "uploaded": 1_200_000}
    tally = Tally.of({"phase": "done", "files": files, "bytes": sizes})

    assert tally.changes == "12 new, 3 changed, 1 gone, 9,984 unchanged; 1.2 MB uploaded"
    assert tally.line == f"3.0 MB of 3.0 MB, 9,999 of 9,999 files; {tally.changes}"


def test_a_run_in_which_nothing_changed_says_that_it_uploaded_nothing() -> None:
    files = {"total": 5, "done": 5, "unchanged": 5}
    tally = Tally.of({"phase": "done", "files": files, "bytes": {"total": 9, "done": 9, "uploaded": 0}})

    assert tally.changes == "5 unchanged; 0 bytes uploaded"


def test_before_the_app_has_set_a_status_nothing_is_done() -> None:
    tally = Tally.of(None)

    assert (tally.files, tally.changes) == ("0 of 0 files", "")
