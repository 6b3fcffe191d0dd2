"""The tutorial's .NET sample: the length of each work item, found in parallel, merged into one dictionary.

python samples/work_items.py
"""

import logging
from collections.abc import Generator
from typing import Any

from durabletask import task
from task_hub import output, task_hub

logger = logging.getLogger(__name__)


# The names are those of the sample in C#: the SDK registers a function under its own name.


def ProcessWorkItemActivity(ctx: task.ActivityContext, work_item: str) -> dict[str, int]:  # noqa: N802 - see above
    """Measure one work item."""
    logger.info("Processing work item: %s", work_item)
    return {work_item: len(work_item)}


def AggregateResultsActivity(  # noqa: N802 - see above
    ctx: task.ActivityContext, results: list[dict[str, int]]
) -> dict[str, int]:
    """Combine all results into one dictionary."""
    logger.info("Aggregating %d results", len(results))
    return {item: length for result in results for item, length in result.items()}


def ParallelProcessingOrchestration(  # noqa: N802 - see above
    ctx: task.OrchestrationContext, work_items: list[str]
) -> Generator[task.Task[Any], Any, dict[str, int]]:
    """Fan out an activity for each work item, wait for all, fan in."""
    processing_tasks: list[task.Task[Any]] = [
        ctx.call_activity(ProcessWorkItemActivity, input=item) for item in work_items
    ]
    # when_all([]) of the SDK never completes.
    results: list[Any] = (yield task.when_all(processing_tasks)) if processing_tasks else []
    return (yield ctx.call_activity(AggregateResultsActivity, input=results))


def run(work_items: list[str]) -> dict[str, int]:
    """Run the orchestration with a worker and a client of this process; returns its output."""
    with task_hub() as hub, hub.worker() as worker, hub.client() as client:
        worker.add_orchestrator(ParallelProcessingOrchestration)
        worker.add_activity(ProcessWorkItemActivity)
        worker.add_activity(AggregateResultsActivity)
        worker.start()

        instance_id = client.schedule_new_orchestration(ParallelProcessingOrchestration, input=work_items)
        return output(client.wait_for_orchestration_completion(instance_id, timeout=60))


if __name__ == "__main__":
    items = run(["item1", "item2", "item3", "item4", "item5"])
    print(f"Result: {len(items)} items processed")  # noqa: T201 - what a sample is for
