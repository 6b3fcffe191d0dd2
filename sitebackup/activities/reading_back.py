"""Reading content back, wherever it is, and comparing it with what was saved.

It is in `backups` under its entry's blob, or, if a later run has put something else there, in the history.
"""

import asyncio
import functools
import hashlib
from collections.abc import Callable

from sitebackup.activities.pairing import difference
from sitebackup.blobs.container import Container
from sitebackup.blobs.historyname import history_name
from sitebackup.engine.engine import Engine
from sitebackup.engine.threads import InThread
from sitebackup.errors import BlobMissingError, BlobRefusedError, SourceError
from sitebackup.messages import Findings
from sitebackup.records.entries import Entry

_READ = 4 * 1024 * 1024
"""Bytes of a blob that are read at once."""

type _Place = tuple[Container, str]
"""A container, and the name of a blob in it."""

type Begin = Callable[[], Callable[[bytes], object]]
"""Called when content is read from its beginning: returns what takes its pieces."""


class OtherContentError(SourceError):
    """What is there is not what was saved; it has so many bytes (`size`)."""

    def __init__(self, size: int) -> None:
        super().__init__("the blob has another content than this run saved")
        self.size = size


async def read_back(entry: Entry, engine: Engine) -> Findings:
    """Read the content of an entry and compare its size and MD5 with what was saved."""
    try:
        await read_content(entry, engine, lambda: lambda _: None, _in_thread)
    except BlobMissingError:
        return Findings(checked=1, missing=1, named=(f"{entry.blob} is missing",))
    except OtherContentError as error:
        named = f"{entry.blob} has another content"
        return Findings(checked=1, bytes=error.size, changed=1, named=(named,))
    except BlobRefusedError as error:  # archived, for one
        return Findings(checked=1, changed=1, named=(f"{entry.blob} {error}",))
    return Findings(checked=1, bytes=entry.size)


async def _in_thread[T](function: Callable[[], T]) -> T:
    return await asyncio.to_thread(function)


async def read_content(entry: Entry, engine: Engine, begin: Begin, in_thread: InThread) -> None:
    """Read the content of an entry in pieces, each hashed and handed on in a thread.

    What was handed on counts only if this returns: then it is what was saved. If `backups` has something
    else, it begins again with what the history has. If neither has it, it raises what is wrong with the blob
    in `backups`: `BlobMissingError`, `OtherContentError` or `BlobRefusedError`.
    """
    here = engine.backups, entry.blob or ""
    places: list[_Place] = [here, (engine.history, history_name(entry.blob or "", entry.md5 or ""))]
    if entry.size > _READ and not await _looks_right(entry, engine):
        places.reverse()  # much would be read in vain
    wrong: dict[_Place, BlobMissingError | SourceError] = {}
    for place in places:
        try:
            return await _read(place, entry, engine, begin(), in_thread)
        except (BlobMissingError, OtherContentError, BlobRefusedError) as error:
            wrong[place] = error
    raise wrong[here]


async def _looks_right(entry: Entry, engine: Engine) -> bool:
    async with engine.transfers:
        blob = await engine.backups.find(entry.blob or "")
    return blob is not None and difference(entry, blob) is None


async def _read(
    place: _Place, entry: Entry, engine: Engine, take: Callable[[bytes], object], in_thread: InThread
) -> None:
    """Read a blob; reading ends soon after it turns out to be longer than it has to be."""
    container, name = place
    digest, size = hashlib.md5(usedforsecurity=False), 0

    def see(data: bytes) -> None:
        digest.update(data)
        take(data)

    while size <= entry.size:
        piece = min(_READ, entry.size - size + 1)  # one byte too many, to see that it is not there
        async with engine.memory.hold(piece):
            async with engine.transfers:
                data = await container.get(name, size, piece)
            await in_thread(functools.partial(see, data))
        size += len(data)
        if len(data) < piece:
            break
    if size != entry.size or digest.hexdigest() != entry.md5:
        raise OtherContentError(size)
