"""Digests: of content, and of the names of roots."""

import hashlib
import os


def md5(data: bytes) -> bytes:
    """Return the MD5 digest of `data`."""
    return hashlib.md5(data, usedforsecurity=False).digest()


def root_id(root: str) -> str:
    """Return what stands for a root where its path must not: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
