"""How a large file is cut into blocks."""

import uuid

from sitebackup.errors import SourceError

BLOCK = 8 * 1024 * 1024
"""Bytes in a block of a large file, unless it would be too many blocks."""

MAX_BLOCK = 64 * 1024 * 1024
"""Bytes in a block, at most: no more content than this is in memory at once (`sitebackup.engine.engine`)."""

MAX_BLOCKS = 50_000
"""Blocks in a blob, at most (https://learn.microsoft.com/rest/api/storageservices/put-block)."""


def block_size(content: int) -> int:
    """Return how many bytes a block of a file of `content` bytes has; the last one may have fewer.

    Raises `SourceError` for a file that would need larger blocks than fit into memory.
    """
    size = max(BLOCK, -(-content // MAX_BLOCKS))
    if size > MAX_BLOCK:
        raise SourceError(f"has more than {MAX_BLOCK * MAX_BLOCKS:,} bytes, the most that can be backed up")
    return size


def new_block_ids(count: int) -> list[str]:
    """Return IDs for `count` blocks of one attempt at a blob, in order; no other attempt has them.

    So two attempts at a blob can never commit a mixture
    (https://github.com/Azure/azure-sdk-for-python/issues/26790). All IDs of a blob must have one length.
    """
    attempt = uuid.uuid4().hex
    return [f"{attempt}-{index:05d}" for index in range(count)]
