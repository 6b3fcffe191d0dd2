"""A second backup, and all that is still there of the first one: over HTTP, as a user would see it."""

from pathlib import Path

import pytest

from localstack.client import Document
from tests.e2e.support.apps import RunningApp
from tests.e2e.support.containers import assert_container_equals_tree, reader
from tests.e2e.support.trees import Size, Tree, make_tree, total_bytes
from tests.support.past import run_of, tree_of

pytestmark = pytest.mark.any_host

SITE: Tree = {
    **{f"page-{number}.html": f"<p>{number}</p>".encode() for number in range(20)},
    "img": {f"{number}.jpg": Size(20_000 + number) for number in range(30)},
    "film.mp4": Size(9 * 1024 * 1024),
    "empty": {},
}


def ended(document: Document) -> dict[str, int]:
    """The counts of files of a run that completed."""
    assert document["runtimeStatus"] == "Completed", document
    return document["customStatus"]["files"]


def test_a_second_backup_uploads_what_changed_mirrors_the_tree_and_keeps_the_first_state(
    app: RunningApp, tmp_path: Path
) -> None:
    root = make_tree(tmp_path / "site", SITE)
    first_tree = tree_of(root)
    first = app.back_up(root)
    assert ended(first)["new"] == 51

    for number in range(10):
        (root / f"page-{number}.html").write_bytes(b"<h1>changed</h1>")
    (root / "page-11.html").unlink()
    (root / "img/7.jpg").unlink()
    (root / "film.mp4").rename(root / "movie.mp4")
    second_tree = tree_of(root)
    second = app.back_up(root)

    files = ended(second)
    assert (files["new"], files["changed"], files["gone"], files["unchanged"]) == (1, 10, 3, 38)
    assert files["total"] == files["done"] == 49
    assert second["output"] == total_bytes(root)
    assert second["customStatus"]["bytes"]["uploaded"] == 10 * 16 + 9 * 1024 * 1024
    assert_container_equals_tree(app.container, root)
    assert run_of(reader(app.blobs), first["instanceId"]) == first_tree
    assert run_of(reader(app.blobs), second["instanceId"]) == second_tree
