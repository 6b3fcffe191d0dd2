"""File path <-> blob name, reversible and readable.

A blob's name is the file's absolute path without its root. What blob storage keeps faithfully stays as it
is, spaces and emoji included. The rest is escaped as `%XX`, a byte at a time:

- bytes that are not UTF-8 (names are text);
- control characters (C0, DEL, C1), which storage refuses or which break the XML of a listing, and the
  non-characters U+FFFE and U+FFFF, which XML 1.0 cannot carry either (https://www.w3.org/TR/xml/#charsets);
- the backslash, which storage turns into a slash;
- a dot that ends a path segment, which storage or a client may strip or resolve;
- a `%` that two hexadecimal digits follow, or decoding could not tell it from an escape.

https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
"""

import os
import re

from sitebackup.errors import BlobRefusedError

MAX_LENGTH = 1024
"""Characters in a blob name."""

MAX_SEGMENTS = 254
"""Path segments in a blob name."""

_ESCAPED = re.compile(
    r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff\ufffe\uffff]|\.(?=/|\Z)|%(?=[0-9A-Fa-f]{2})",
)
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


def encode(path: str) -> str:
    """Return the blob name of the absolute `path` (as `os.fsdecode` gives it).

    Raises `BlobRefusedError` when blob storage cannot hold the name.
    """
    name = escape(path)
    if limit := violated_limit(name):
        raise BlobRefusedError(f"blob name {limit}")
    return name


def escape(path: str) -> str:
    """Return what the blob name of `path`, or of what begins with it, would be if storage had no limits."""
    return _ESCAPED.sub(_percent, path.lstrip("/"))


def violated_limit(name: str) -> str | None:
    """Return how `name` is too long for a blob; None if it is not."""
    # Storage counts UTF-16 code units, as .NET does.
    if len(name) > MAX_LENGTH // 2 and len(name.encode("utf-16-le")) // 2 > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} characters"
    if name.count("/") >= MAX_SEGMENTS:
        return f"has more than {MAX_SEGMENTS} segments"
    return None


def decode(name: str) -> str:
    """Return the absolute path whose blob name is `name`."""
    return "/" + os.fsdecode(_ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), name.encode()))


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(match[0]))
