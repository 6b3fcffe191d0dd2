"""What a run left in the task hub of the local host."""

import logging
from collections.abc import Iterator

import psutil
from durabletask.client import TaskHubGrpcClient
from durabletask.history import HistoryEvent, SubOrchestrationInstanceCreatedEvent

from localstack.host import Host


def histories(host: Host, instance_id: str) -> Iterator[list[HistoryEvent]]:
    """Yield the history of an instance, then those of its sub-orchestrations, and so on.

    Raw events as the task hub holds them; the management API drops some and merges others.
    """
    address = f"127.0.0.1:{_hub_port(host)}"
    with TaskHubGrpcClient(host_address=address, logger=logging.getLogger(__name__)) as hub:
        unread = [instance_id]
        while unread:
            history = hub.get_orchestration_history(unread.pop())
            yield history
            unread += [
                event.instance_id
                for event in history
                if isinstance(event, SubOrchestrationInstanceCreatedEvent)
            ]


def _hub_port(host: Host) -> int:
    """Return the other port that the host listens on: its task hub's."""
    connections = psutil.Process(host.pid).net_connections("tcp")
    (port,) = {each.laddr.port for each in connections if each.status == "LISTEN"} - {host.port}
    return port
