"""Asyncio tasks that succeed or fail together."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def task_group() -> AsyncGenerator[asyncio.TaskGroup]:
    """A task group that raises the first failure itself: one is enough, the rest was cancelled for it."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except ExceptionGroup as failures:
        first = failures.exceptions[0]
        raise first from first.__cause__


async def all_of[T](work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run everything at once and return the results in order; the first failure cancels the rest."""
    async with task_group() as group:
        tasks = [group.create_task(part) for part in work]
    return [task.result() for task in tasks]
