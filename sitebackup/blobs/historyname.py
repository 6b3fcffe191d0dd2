"""How what was overwritten or deleted is called: one name for a blob and a version of its content."""

import hashlib

from sitebackup.blobs.blobname import violated_limit

_LONG = "%long/"
"""Begins the names of versions whose names would be too long with the blob's name in them.

No name of a file needs to be escaped for it: the names that begin with it by themselves are hashed as well.
"""


def history_name(blob: str, version: str) -> str:
    """Return the name of a version of `blob`; no two have the same.

    `version` is the MD5 of its content in hexadecimal digits, or its ETag without quotes if it has none, and
    has no slash.
    """
    name = f"{blob}/{version}"
    if blob.startswith(_LONG) or violated_limit(name) is not None:
        return f"{_LONG}{hashlib.sha256(blob.encode()).hexdigest()}/{version}"
    return name
