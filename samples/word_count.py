"""The tutorial's Java sample: count the words of some sentences in parallel, then add the counts up.

python samples/word_count.py
"""

from collections.abc import Generator
from typing import Any

from durabletask import task
from task_hub import output, task_hub

SENTENCES = [
    "Hello, world!",
    "The quick brown fox jumps over the lazy dog.",
    "Always remember that you are absolutely unique.",
]

# The names are those of the sample in Java: the SDK registers a function under its own name.


def CountWords(ctx: task.ActivityContext, sentence: str) -> int:  # noqa: N802 - see above
    """Count the words of one sentence."""
    return len(sentence.split())


def FanOutFanIn_WordCount(  # noqa: N802 - see above
    ctx: task.OrchestrationContext, sentences: list[str]
) -> Generator[task.Task[Any], Any, int]:
    """Fan out an activity for each sentence, wait for all, add up."""
    tasks: list[task.Task[Any]] = [ctx.call_activity(CountWords, input=sentence) for sentence in sentences]
    # when_all([]) of the SDK never completes.
    counts: list[int] = (yield task.when_all(tasks)) if tasks else []
    return sum(counts)


def run(sentences: list[str]) -> int:
    """Run the orchestration with a worker and a client of this process; returns its output."""
    with task_hub() as hub, hub.worker() as worker, hub.client() as client:
        worker.add_orchestrator(FanOutFanIn_WordCount)
        worker.add_activity(CountWords)
        worker.start()

        instance_id = client.schedule_new_orchestration(FanOutFanIn_WordCount, input=sentences)
        return output(client.wait_for_orchestration_completion(instance_id, timeout=60))


if __name__ == "__main__":
    print(f"Total word count: {run(SENTENCES)}")  # noqa: T201 - what a sample is for
