"""The benchmarks of trees that are too large to be made, on a small one: nobody runs the large ones often."""

from benchmarks.millions import ten_million


def test_a_backup_of_a_tree_that_is_on_no_disk_finds_all_of_it_saved_and_is_measured() -> None:
    figures = {figure.name: figure for figure in ten_million(20_020)}  # raises if anything was new or changed
    longest = next(figure for name, figure in figures.items() if "longest activity" in name)
    assert longest.ok
    for activity in ("E2_GetFileList", "E2_WriteManifest", "E2_VerifyManifest"):
        assert activity in longest.runs
