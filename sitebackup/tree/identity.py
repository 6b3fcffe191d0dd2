"""Which tree is at a path, for what one machine listed and another one copies.

On the other one something else may be mounted there, or nothing. So each takes a marker of what it sees: a
tree that had one when it was listed, and now has another one or none, is another tree.
"""

import hashlib
import os
from pathlib import PurePath

from sitebackup.settings import APP_DIRECTORY
from sitebackup.tree.mounts import Mount, Mounts, holding, read_mounts
from sitebackup.tree.reasons import reasons

_SHARES = {"nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph"}
"""File systems whose source names the share, to each machine alike; those of FUSE besides."""

_IMAGES = {"squashfs", "erofs", "cramfs", "iso9660"}
"""File systems that hold a package, which each machine mounts for itself."""

_ON_NO_DEVICE = {"btrfs", "zfs"}
"""File systems of disks whose device has the major number 0."""

_LOOP = 7
"""The major number of devices that are files (https://docs.kernel.org/admin-guide/devices.html)."""


def marker(real: str, mounts: Mounts | None = None) -> str | None:
    """Return what tells the tree at the real path `real` from others; None if nothing does.

    A share is known by its source and the path in it, whatever device number each machine gives it; a disk by
    the file system's ID and the directory's inode. The app's own directory has no marker: each machine has a
    copy of it. It is a hash, 16 hexadecimal digits, because a source may hold names and passwords.

    Asks a disk, but no share. Raises `SourceError` and `SourceUnavailableError`.
    """
    if PurePath(real).is_relative_to(APP_DIRECTORY):
        return None
    mount = next(holding(real, read_mounts() if mounts is None else mounts), None)
    if mount is None:
        return None
    if _is_share(mount):
        inner = PurePath(mount.inner, PurePath(real).relative_to(mount.point))
        return _hashed("share", mount.source, str(inner))
    if _is_disk(mount):
        with reasons():
            return _hashed("disk", str(os.statvfs(real).f_fsid), str(os.stat(real).st_ino))
    return None


def is_on_share(real: str, mounts: Mounts | None = None) -> bool:
    """Tell whether the tree at the real path `real` is on a share, whose server has a clock of its own."""
    mount = next(holding(real, read_mounts() if mounts is None else mounts), None)
    return mount is not None and _is_share(mount)


def _is_share(mount: Mount) -> bool:
    if mount.kind.startswith("fuse."):
        # What FUSE shows of a file or a directory of this machine is no share.
        return mount.source not in ("", "none") and not mount.source.startswith("/")
    return mount.kind in _SHARES


def _is_disk(mount: Mount) -> bool:
    return mount.kind in _ON_NO_DEVICE or (mount.major not in (0, _LOOP) and mount.kind not in _IMAGES)


def _hashed(*parts: str) -> str:
    return hashlib.sha256(os.fsencode("\0".join(parts))).hexdigest()[:16]
