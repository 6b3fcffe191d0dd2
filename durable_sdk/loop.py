"""An event loop in a thread, for programs whose main thread waits for something else."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def event_loop_thread(name: str) -> Generator[asyncio.AbstractEventLoop]:
    """Run a loop in a thread called `name` for as long as the block; what still runs then is dropped."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=name, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
