"""An upgrade: the commands of docs/deploy.md that let runs end before it, and what the next run makes of what
the version before has left.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from azure.storage.blob import BlobServiceClient, ContentSettings

from localstack.client import BackupClient, Document
from localstack.settings import PROJECT, EmulatorPorts
from tests.e2e.support.apps import RunningApp, free_port
from tests.e2e.support.commands import make_start, run_line, stack_environ
from tests.e2e.support.containers import assert_container_equals_tree, blob_content, reader, rfc3339
from tests.e2e.support.proxy import Proxy, recorded
from tests.e2e.support.trees import Link, Size, Tree, make_tree, saved_entries, total_bytes
from tests.support.past import run_of, tree_of

SITE: Tree = {
    "index.html": b"<h1>hello</h1>",
    "empty file": b"",
    "blocks.bin": Size(9 * 1024 * 1024),
    "img": {f"{number}.jpg": Size(20_000 + number) for number in range(400)},
    "link": Link("index.html"),
    "empty": {},
}
FILES = 403


def commands() -> tuple[str, str, str]:
    """The three blocks of the page: what lists unfinished runs, what waits for them, what terminates them."""
    page = (PROJECT / "docs/deploy.md").read_text()
    section = page.partition("\n## 6. Upgrade\n")[2].partition("\n## ")[0]
    listing, waiting, terminating = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    return listing, waiting, terminating


def with_a_cli(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with an `az` that answers with a key, and without the pauses of a loop."""
    folder.mkdir()
    for name, body in {"az": "echo a-key", "sleep": "exec /bin/sleep 0.2"}.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return {**environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def test_the_commands_of_an_upgrade_find_every_unfinished_run_and_leave_none(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "site", {"index.html": b"hello"})
    nowhere = EmulatorPorts(free_port(), free_port(), free_port()).connection_string
    environ = {**stack_environ(), "BACKUP_ALLOWED_ROOTS": str(root)}
    listing, waiting, terminating = commands()
    with make_start({**environ, "BackupStorage": nowhere}, tmp_path) as stack:
        shell = with_a_cli(tmp_path / "bin", {"AZURE_FUNCTION_APP_URL": stack.base_url})
        assert run_line(listing, shell).stdout == ""

        with BackupClient(stack.base_url) as client:
            started = [client.start(str(root)) for _ in range(2)]  # they wait for a storage that is not there
            unfinished = run_line(listing, shell).stdout
            assert {run["id"] for run in started} <= {line.split()[0] for line in unfinished.splitlines()}
            assert "E2_BackupSiteContent" in unfinished

            ended = run_line("\n".join([listing, terminating, waiting]), shell)
            assert ended.returncode == 0, ended.stderr
            assert {client.status(run)["runtimeStatus"] for run in started} == {"Terminated"}
            assert run_line(listing, shell).stdout == ""


def test_a_list_that_cannot_be_read_never_looks_like_an_empty_one(tmp_path: Path) -> None:
    listing, _, _ = commands()
    shell = with_a_cli(tmp_path / "bin", {"AZURE_FUNCTION_APP_URL": f"http://127.0.0.1:{free_port()}"})
    assert run_line(listing, shell).stdout == "The list could not be read.\n"


def save_as_before(blobs: BlobServiceClient, root: Path, run: str) -> None:
    """Leave what version 0.1 left of `root`: blobs that have no mark of it, and a manifest of format 1."""
    container = blobs.get_container_client("backups")
    lines: list[Document] = []
    for path in saved_entries(root):
        status = path.lstat()
        about = {
            "mtime": rfc3339(status.st_mtime_ns),
            "mode": f"{status.st_mode:o}",
            "uid": str(status.st_uid),
            "gid": str(status.st_gid),
        }
        if path.is_symlink():
            kind, content, mark = "link", os.fsencode(path.readlink()), {"is_symlink": "true"}
        elif path.is_dir():
            kind, content, mark = "directory", b"", {"hdi_isfolder": "true"}
        else:
            kind, content, mark = "file", path.read_bytes(), {}
        digest = hashlib.md5(content, usedforsecurity=False)
        name = str(path).lstrip("/")
        stored = container.get_blob_client(name).upload_blob(
            content,
            metadata={**about, **mark},
            content_settings=ContentSettings(content_md5=bytearray(digest.digest())),
        )
        lines.append(
            {"path": str(path.relative_to(root)), "outcome": "copied", "kind": kind, "size": len(content)}
            | {"mtime": about["mtime"], "mode": about["mode"], "uid": status.st_uid, "gid": status.st_gid}
            | {"blob": name, "md5": digest.hexdigest(), "etag": stored["etag"]}
        )
    moment = "2026-01-02T03:04:05Z"
    head: Document = {"format": 1, "root": str(root), "started": moment, "finished": moment}
    rows = [head, *sorted(lines, key=lambda line: line["path"])]
    manifest = "".join(json.dumps(row) + "\n" for row in rows)
    blobs.get_container_client("backup-runs").upload_blob(f"{run}/manifest.ndjson", manifest.encode())


def etags(app: RunningApp, root: Path) -> dict[str, str]:
    """The blobs below `root`, by name: whatever is written to one gives it another ETag."""
    return {blob.name: blob.etag for blob in app.container.list_blobs(f"{root}/".lstrip("/"))}


def back_up_without_writing(app: RunningApp, proxy: Proxy, root: Path) -> Document:
    """A complete backup that writes no blob of the tree, and none to the history."""
    before = etags(app, root)
    with recorded(proxy, "/backups", "/backup-history") as requests:
        document = app.back_up(root)
    assert document["runtimeStatus"] == "Completed", document
    assert document["output"] == total_bytes(root)
    assert {request.method for request in requests} == {"GET", "HEAD"}
    assert document["customStatus"]["bytes"]["uploaded"] == 0
    assert etags(app, root) == before
    assert run_of(reader(app.blobs), document["instanceId"]) == tree_of(root)
    return document


def verified(app: RunningApp, run: str) -> int:
    """How many entries of a run are found whole, read back byte by byte."""
    document = app.run("E2_VerifyBackup", {"instanceId": run, "deep": True})
    assert document["runtimeStatus"] == "Completed", document
    return document["output"]["checked"]


def test_what_version_01_has_saved_is_taken_over_without_being_uploaded_again(
    proxied_app: RunningApp, proxy: Proxy, tmp_path: Path
) -> None:
    app = proxied_app
    first = app.back_up(make_tree(tmp_path / "other", {"f": b"1"}))  # so that there are containers
    assert first["runtimeStatus"] == "Completed", first
    root = make_tree(tmp_path / "site", SITE)
    before, entries = f"before-{os.getpid()}-{tmp_path.name}"[:90], FILES + 2
    save_as_before(app.blobs, root, before)
    assert verified(app, before) == entries

    taken_over = back_up_without_writing(app, proxy, root)
    assert taken_over["customStatus"]["files"]["new"] == FILES

    tree = tree_of(root)
    (root / "index.html").write_bytes(b"changed")
    (root / "img" / "3.jpg").unlink()
    (root / "blocks.bin").write_bytes(b"small now")
    document = app.back_up(root)
    files = document["customStatus"]["files"]
    assert (files["new"], files["changed"], files["gone"]) == (0, 2, 1), document
    assert not app.container.get_blob_client(str(root / "img" / "3.jpg").lstrip("/")).exists()
    assert blob_content(app.container, root / "index.html") == b"changed"
    assert run_of(reader(app.blobs), document["instanceId"]) == tree_of(root)
    assert run_of(reader(app.blobs), taken_over["instanceId"]) == tree
    assert verified(app, before) == entries


def test_a_catalog_that_is_lost_costs_no_upload_and_what_is_gone_meanwhile_is_removed(
    proxied_app: RunningApp, proxy: Proxy, tmp_path: Path
) -> None:
    app = proxied_app
    root = make_tree(tmp_path / "site", SITE)
    assert app.back_up(root)["runtimeStatus"] == "Completed"
    mark = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
    catalog = app.blobs.get_container_client("backup-catalog")
    records = list(catalog.list_blob_names(name_starts_with=f"runs/{mark}/"))
    assert records
    for name in records:
        catalog.delete_blob(name)
    back_up_without_writing(app, proxy, root)

    for name in catalog.list_blob_names(name_starts_with=f"runs/{mark}/"):
        catalog.delete_blob(name)
    (root / "img" / "3.jpg").unlink()
    (root / "empty").rmdir()
    document = app.back_up(root)
    assert document["runtimeStatus"] == "Completed", document
    assert document["customStatus"]["bytes"]["uploaded"] == 0
    assert_container_equals_tree(app.container, root)
