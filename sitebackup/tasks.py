"""Asyncio tasks that succeed or fail together."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def all_of[T](work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run everything at once and return the results in order; the first failure cancels the rest."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in work]
    except ExceptionGroup as failures:  # one is enough: the rest was cancelled for it
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]
