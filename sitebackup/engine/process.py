"""The engine of one process: connected at its first use, closed at its end."""

from collections.abc import Mapping

from sitebackup import names
from sitebackup.blobs.account import RETRIES, Storage, connect
from sitebackup.blobs.slots import Slots
from sitebackup.engine.engine import ACTIVITY_SECONDS, Engine
from sitebackup.settings import Settings


class ProcessEngine:
    """What `sitebackup.activities.running.run` takes as its engine.

    Called on one event loop, and closed on it or after it has ended. A process without storage can be started
    all the same: its first activity then says what is missing.
    `retries` is how often its requests to storage are tried again, `activity_seconds` what an activity may
    take.
    """

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        retries: int = RETRIES,
        activity_seconds: float = ACTIVITY_SECONDS,
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._retries = retries
        self._activity_seconds = activity_seconds
        self._connected: tuple[Storage, Engine] | None = None

    def __call__(self) -> Engine:
        """Connect to storage, or return what is connected; raises `FatalError` when it is not configured."""
        if self._connected is None:
            transfers = Slots(self._settings.concurrency)
            storage = connect(self._environment, self._retries, transfers)
            engine = Engine(
                self._settings,
                storage.container(names.BACKUPS_CONTAINER),
                storage.container(names.RUNS_CONTAINER),
                storage.container(names.HISTORY_CONTAINER),
                storage.container(names.CATALOG_CONTAINER),
                activity_seconds=self._activity_seconds,
                transfers=transfers,
            )
            self._connected = storage, engine
        return self._connected[1]

    async def close(self) -> None:
        """Close the connections and end the threads."""
        if self._connected is not None:
            storage, engine = self._connected
            self._connected = None
            engine.close()
            await storage.close()
