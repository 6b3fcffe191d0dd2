"""Reading blobs back and comparing them with what was saved."""

import asyncio
import functools
import hashlib
from collections.abc import Callable

from sitebackup.engine.engine import Engine
from sitebackup.engine.threads import InThread
from sitebackup.errors import BlobMissingError, BlobRefusedError
from sitebackup.messages import Findings
from sitebackup.records.outcomes import Outcome

_READ = 4 * 1024 * 1024
"""Bytes of a blob that are read at once."""


async def read_back(outcome: Outcome, engine: Engine) -> Findings:
    """Read one blob and compare its size and MD5 with what was saved."""
    blob = outcome.blob or ""
    try:
        size, same = await read_through(outcome, engine, lambda _: None, _in_thread)
    except BlobMissingError:
        return Findings(checked=1, missing=1, named=(f"{blob} is missing",))
    except BlobRefusedError as error:  # archived, for one
        return Findings(checked=1, changed=1, named=(f"{blob} {error}",))
    if not same:
        return Findings(checked=1, bytes=size, changed=1, named=(f"{blob} has another content",))
    return Findings(checked=1, bytes=size)


async def _in_thread[T](function: Callable[[], T]) -> T:
    return await asyncio.to_thread(function)


async def read_through(
    outcome: Outcome, engine: Engine, take: Callable[[bytes], object], in_thread: InThread
) -> tuple[int, bool]:
    """Read a blob in pieces, each hashed and handed to `take` in a thread.

    Returns how many bytes it has, and whether they are those that were saved. Reading ends soon after a blob
    turns out to be longer. Raises `BlobMissingError` or `BlobRefusedError`.
    """
    digest, size = hashlib.md5(usedforsecurity=False), 0

    def see(data: bytes) -> None:
        digest.update(data)
        take(data)

    while size <= outcome.size:
        piece = min(_READ, outcome.size - size + 1)  # one byte too many, to see that it is not there
        async with engine.memory.hold(piece):
            async with engine.transfers:
                data = await engine.backups.get(outcome.blob or "", size, piece)
            await in_thread(functools.partial(see, data))
        size += len(data)
        if len(data) < piece:
            break
    return size, size == outcome.size and digest.hexdigest() == outcome.md5
