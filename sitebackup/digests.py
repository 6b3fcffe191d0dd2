"""Digests of content."""

import hashlib


def md5(data: bytes) -> bytes:
    """Return the MD5 digest of `data`."""
    return hashlib.md5(data, usedforsecurity=False).digest()
