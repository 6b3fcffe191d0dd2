"""Events in the log, for the operator: how runs and verifications go, and how they ended.

An event is one line, its name and a JSON object with the instance, the root's ID and counts, never a name:

    backup.phase {"instanceId": "4f1c...", "seconds": 1.2, "rootId": "a0b1...", "phase": "copying", ...}
    backup.ended {"instanceId": "4f1c...", "seconds": 9.8, "rootId": "a0b1...", "status": "Completed", ...}
    verification.ended {"instanceId": "77ad...", "seconds": 3.0, "rootId": "a0b1...", "runId": "4f1c...", ...}

All of it is in the text because the Functions host keeps nothing else of a Python log record.
"""

import json
import logging

from durabletask.task import OrchestrationContext

_log = logging.getLogger(__name__)


class Events:
    """The events of one instance; a replay logs none again."""

    def __init__(self, ctx: OrchestrationContext) -> None:
        self._ctx = ctx
        self._log = ctx.create_replay_safe_logger(_log)
        self._started = ctx.current_utc_datetime

    def log(self, name: str, **about: object) -> None:
        """Log one event."""
        seconds = (self._ctx.current_utc_datetime - self._started).total_seconds()
        event = {"instanceId": self._ctx.instance_id, "seconds": seconds, **about}
        self._log.info("%s %s", name, json.dumps(event))
