"""How often a request to storage is tried, and how an outage shows."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# The client's retry policies have no types.

from dataclasses import dataclass
from typing import Any, cast

from azure.core.exceptions import AzureError
from azure.storage.blob.aio import ExponentialRetry

from sitebackup.blobs.slots import Slots

_BUSY = {429, 503}
"""Throttled (https://learn.microsoft.com/azure/storage/blobs/scalability-targets)."""

LONGEST_WAIT = 60
"""Seconds that a request waits if storage says when to come back; who is to wait longer waits as a backup."""


@dataclass(slots=True)
class Outage:
    """What a connection has learnt of storage: whether an outage is `on`, how many requests it answered."""

    answered: int = 0
    on: bool = False


class Retries(ExponentialRetry):
    """Tries a request again after 3, 5, 9, 17 ... seconds, each a second more or less by jitter.

    It does so later if storage says `Retry-After`. While a request waits, others take its one of the `slots`,
    which learn of every answer.

    A request that has run out of tries, while no other was answered since its first one failed, has met an
    outage. Until one is answered, every further request is tried once: if thousands of activities each waited
    for the same outage, their backup would learn of it, and say so, hours later.
    """

    def __init__(self, retries: int, outage: Outage, slots: Slots) -> None:
        super().__init__(
            initial_backoff=1,
            increment_base=2,
            random_jitter_range=1,
            retry_total=retries,
            retry_connect=retries,
            retry_read=retries,
            retry_status=retries,
        )
        self._outage = outage
        self._slots = slots

    def configure_retries(self, request: Any) -> dict[str, Any]:
        """Return the state of a request's tries, as it begins."""
        settings: dict[str, Any] = super().configure_retries(request)
        return {**settings, "total": 0} if self._outage.on else settings

    def increment(
        self, settings: dict[str, Any], request: Any, response: Any = None, error: AzureError | None = None
    ) -> bool:
        """Count a failed try; tells whether there is another one."""
        settings["retry_after"] = 0.0 if response is None else self._heed(response)
        answered = settings.setdefault("answered", self._outage.answered)
        again = super().increment(settings, request, response, error)
        again = again and settings["retry_after"] <= LONGEST_WAIT
        if not again and answered == self._outage.answered:
            self._outage.on = True
        return again

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        """Return how many seconds to wait before the next try."""
        return max(super().get_backoff_time(settings), settings["retry_after"])

    async def sleep(self, settings: dict[str, Any], transport: Any) -> None:
        """Wait before the next try."""
        async with self._slots.lent():
            await super().sleep(settings, transport)

    def _heed(self, response: Any) -> float:
        """Take note of an answer to a failed try; return in how many seconds storage wants the next one."""
        self._slots.answered(is_busy=response.status_code in _BUSY)
        after = response.headers.get("Retry-After", "")
        return float(after) if after.isdecimal() else 0.0  # storage gives seconds, never a date

    async def send(self, request: Any) -> Any:
        """Send a request, as often as it takes."""
        response = cast(Any, await super().send(request))
        if response.http_response.status_code < 500:
            # The client's policy counts 429 as no failed try.
            self._slots.answered(is_busy=response.http_response.status_code in _BUSY)
            self._outage.answered += 1
            self._outage.on = False
        return response
