"""How a large file is cut into blocks."""

BLOCK = 8 * 1024 * 1024
"""Bytes in a block of a large file."""

MAX_BLOCKS = 50_000
"""Blocks in a blob, at most (https://learn.microsoft.com/rest/api/storageservices/put-block)."""


def block_size(content: int) -> int:
    """Return how many bytes a block of a file of `content` bytes has; the last one may have fewer."""
    return max(BLOCK, -(-content // MAX_BLOCKS))
