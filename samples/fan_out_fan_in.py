"""The tutorial's Python sample: square numbers in parallel, then aggregate the results.

python samples/fan_out_fan_in.py
"""

from collections.abc import Generator
from typing import Any

from durabletask import task
from task_hub import output, task_hub


def process_work_item(ctx: task.ActivityContext, item: int) -> dict[str, int]:
    """Square a number."""
    return {"item": item, "result": item * item}


def aggregate_results(ctx: task.ActivityContext, results: list[dict[str, int]]) -> dict[str, float]:
    """Count the results, add them up and average them."""
    total = sum(item["result"] for item in results)
    return {"total_items": len(results), "sum": total, "average": total / len(results) if results else 0}


def fan_out_fan_in_orchestrator(
    ctx: task.OrchestrationContext, work_items: list[int]
) -> Generator[task.Task[Any], Any, dict[str, float]]:
    """Fan out an activity for each work item, wait for all, fan in."""
    parallel_tasks: list[task.Task[Any]] = [
        ctx.call_activity(process_work_item, input=item) for item in work_items
    ]
    # when_all([]) of the SDK never completes.
    results: list[Any] = (yield task.when_all(parallel_tasks)) if parallel_tasks else []
    return (yield ctx.call_activity(aggregate_results, input=results))


def run(work_items: list[int]) -> dict[str, float]:
    """Run the orchestration with a worker and a client of this process; returns its output."""
    with task_hub() as hub, hub.worker() as worker, hub.client() as client:
        worker.add_orchestrator(fan_out_fan_in_orchestrator)
        worker.add_activity(process_work_item)
        worker.add_activity(aggregate_results)
        worker.start()

        instance_id = client.schedule_new_orchestration(fan_out_fan_in_orchestrator, input=work_items)
        return output(client.wait_for_orchestration_completion(instance_id, timeout=60))


if __name__ == "__main__":
    print(f"Result: {run(list(range(1, 11)))}")  # noqa: T201 - what a sample is for
