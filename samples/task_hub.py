"""What the samples share: their task hub, and how they take an orchestration's output.

Scripts in this folder do not see the project's packages by themselves; importing this module shows them.
"""

import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from durabletask.client import OrchestrationState

sys.path.append(str(Path(__file__).resolve().parents[1]))

from durable_sdk.connection import TaskHub, connect


def task_hub() -> AbstractContextManager[TaskHub]:
    """Connect to the scheduler that the environment names, else to a hub in the memory of this process."""
    return connect(os.environ)


def output(state: OrchestrationState | None) -> Any:
    """Return the output of an orchestration that has ended; raises what the SDK has for one that failed."""
    if state is None:
        raise LookupError("The task hub no longer knows the orchestration.")
    state.raise_if_failed()
    return state.get_output()
