"""The messages between the host and its workers.

A frame is a small JSON header and one raw payload, each behind its length. The payload (an HTTP body, an
activity's input, an orchestrator's protobuf) never passes through JSON, which would cost more than the call
itself.
"""

import asyncio
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LENGTHS = struct.Struct("!II")


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. What the header holds is said where it is built: `workers.py` and `worker_main.py`."""

    header: Mapping[str, Any]
    payload: bytes = b""


def encode(frame: Frame) -> bytes:
    """The frame as it goes over the socket."""
    header = json.dumps(frame.header, separators=(",", ":")).encode()
    return b"".join((_LENGTHS.pack(len(header), len(frame.payload)), header, frame.payload))


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame, or None when the other side is gone."""
    try:
        header_length, payload_length = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        content = await reader.readexactly(header_length + payload_length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return Frame(json.loads(content[:header_length]), content[header_length:])
