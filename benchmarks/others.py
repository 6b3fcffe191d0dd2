"""Programs of others that do the same work: rclone, and azcopy, which is Microsoft's.

Each function that runs one returns the seconds that it took. A sync goes to where the app puts the blobs of a
tree; rclone finds its own times there, since the app writes them under the same keys, and azcopy takes a blob
that is newer than its file for the file. So neither has anything to upload that the app has saved.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from azure.storage.blob import (
    AccountSasPermissions,
    BlobServiceClient,
    ResourceTypes,
    generate_account_sas,
)

from benchmarks.trees import temporary_folder
from benchmarks.uploads import CONCURRENCY
from sitebackup.names import BACKUPS_CONTAINER

_SECONDS = 600


def rclone_copy(storage: str, tree: Path) -> float:
    """Upload a tree with `rclone copy`, into the root of the container."""
    return _rclone(storage, "copy", tree, BACKUPS_CONTAINER, "--transfers", str(CONCURRENCY))


def rclone_sync(storage: str, tree: Path) -> float:
    """Compare a tree with its blobs with `rclone sync`."""
    return _rclone(storage, "sync", tree, _target(tree), "--checkers", str(CONCURRENCY))


def rclone_fast_sync(storage: str, tree: Path) -> float:
    """The same, asked to list all blobs at once instead of one directory after the other."""
    return _rclone(storage, "sync", tree, _target(tree), "--checkers", str(CONCURRENCY), "--fast-list")


def azcopy_sync(storage: str, tree: Path) -> float:
    """Compare a tree with its blobs with `azcopy sync`, without a log, which has a line a file."""
    url, signature = _address(storage)
    target = f"{url}{_target(tree)}?{signature}"
    options = ["--from-to", "LocalBlob", "--delete-destination", "true", "--log-level", "NONE"]
    with temporary_folder() as folder:
        # It writes into its user's home, whatever its own settings for logs and plans say.
        environ = {"HOME": str(folder), "AZCOPY_CONCURRENCY_VALUE": str(CONCURRENCY)}
        return _run(["azcopy", "sync", str(tree), target, *options, "--skip-version-check"], environ)


def syncs() -> dict[str, Callable[[str, Path], float]]:
    """Return the programs on `PATH` that keep a copy of a tree up to date, by what the table calls them."""
    found: dict[str, Callable[[str, Path], float]] = {}
    if is_installed("rclone"):
        found |= {"rclone sync": rclone_sync, "rclone sync --fast-list": rclone_fast_sync}
    if is_installed("azcopy"):
        found["azcopy sync"] = azcopy_sync
    return found


def is_installed(program: str) -> bool:
    """Tell whether a program is on `PATH`."""
    return shutil.which(program) is not None


def _rclone(storage: str, command: str, tree: Path, target: str, *options: str) -> float:
    # An address with a signature: rclone 1.60 takes a key only together with a host name of Azure's form.
    url, signature = _address(storage)
    environ = {"RCLONE_CONFIG": "", "RCLONE_AZUREBLOB_SAS_URL": f"{url}?{signature}"}
    return _run(["rclone", command, *options, str(tree), f":azureblob:{target}"], environ)


def _run(command: Sequence[str], environ: Mapping[str, str]) -> float:
    begin = time.perf_counter()
    subprocess.run(  # noqa: S603 - the commands are above
        command,
        env={**os.environ, **environ},
        check=True,
        timeout=_SECONDS,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - begin


def _target(tree: Path) -> str:
    return f"{BACKUPS_CONTAINER}/{str(tree).lstrip('/')}"


def _address(storage: str) -> tuple[str, str]:
    """Return the address of an account, with a slash at its end, and a signature for it."""
    with BlobServiceClient.from_connection_string(storage) as client:
        signature = generate_account_sas(
            str(client.account_name),
            client.credential.account_key,
            ResourceTypes(service=True, container=True, object=True),
            AccountSasPermissions(read=True, write=True, delete=True, list=True, create=True, add=True),
            datetime.now(UTC) + timedelta(hours=1),
        )
        return client.url, signature
