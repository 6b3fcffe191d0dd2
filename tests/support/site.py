"""A tree and its storage as orchestrations see them: activities whose answers agree with one another.

Each file has ten bytes. Nothing of it is real; `tests.support.hub` runs the orchestrations on it.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sitebackup import names
from sitebackup.messages import (
    Answer,
    Compared,
    Copied,
    Findings,
    Listed,
    PartReference,
    Plan,
    ReadBack,
    Written,
)
from sitebackup.ranges import Portion, Span
from sitebackup.tally import Tally
from tests.support.hub import Activity, Hub, Instance

MOST_EVENTS = 1_000
INDEX = "manifests/run/index.json"
MANIFEST = f"backup-catalog/{INDEX}"

type Request = dict[str, Any]
type Reply = dict[str, Any]


def listing(plan: str, batches: int, portions: int = 0, failed: int = 0, **more: Any) -> Reply:
    """What E2_GetFileList answers: `batches` of one file each to copy. `more`: other fields of `Listed`."""
    about: dict[str, Any] = {
        "tally": Tally(failed=failed),
        "pending": Tally(files=batches, bytes=10 * batches),
        "plans": (Plan(plan, batches),),
        "portions": (Portion(plan, 0, portions),) if portions else (),
        "advanced": True,
    }
    return Listed(**about | more).to_json()


def copied(_: Any = None) -> Reply:
    """What E2_CopyFileToBlob answers of a new file."""
    return Copied(tally=Tally(files=1, bytes=10, new=1, uploaded=10), advanced=True).to_json()


def became(**outcomes: int) -> Reply:
    """What E2_CopyFileToBlob answers of a batch with these outcomes."""
    return Copied(tally=Tally(**outcomes), advanced=True).to_json()


def down(_: Any = None) -> Reply:
    """What an activity answers that a trouble kept from doing anything."""
    return Answer(troubles=("storage is down",)).to_json()


def steps_before(request: Request) -> int:
    """How many steps of a comparison were taken before the one that E2_VerifyManifest is asked for."""
    return len(request.get("after", ""))


def compared(
    findings: Findings, request: Request | None = None, *, is_done: bool = True, **more: Any
) -> Reply:
    """What E2_VerifyManifest answers to a request, of a manifest of 1,000 bytes."""
    about: dict[str, Any] = {"root_id": "0123", "spans": (Span("p", 0, 1_000),)}
    if not is_done:
        about = {"state": (request or {}).get("after", "") + "x"}
    return Compared(findings=findings, is_done=is_done, advanced=True, **about, **more).to_json()


def read_back(**findings: Any) -> Reply:
    """What E2_VerifyBlobs answers."""
    return ReadBack(findings=Findings(**findings), advanced=True).to_json()


class Site:
    """The activities of a tree that one listing finds whole: `batches` of one new file each.

    `answers` are those that differ, by the names of the activities. `asked` has all requests, by these names
    too. `named` is what the writer of the manifest names as failed.
    """

    def __init__(self, batches: int = 1, answers: Mapping[str, Activity] | None = None) -> None:
        self.asked: dict[str, list[Request]] = defaultdict(list)
        self.named: tuple[str, ...] = ()
        self._of_plan: dict[str, Tally] = defaultdict(Tally)
        usual: dict[str, Activity] = {
            names.GET_FILE_LIST: lambda _: listing("p", batches),
            names.COPY_FILE_TO_BLOB: copied,
            names.WRITE_MANIFEST: self.write,
            names.VERIFY_MANIFEST: lambda _: compared(Findings(checked=1, bytes=10)),
            names.VERIFY_BLOBS: lambda _: read_back(checked=1, bytes=10),
            names.END_RUN: lambda _: Answer().to_json(),
        }
        self.activities = {
            name: self._heard(name, call) for name, call in (usual | dict(answers or {})).items()
        }

    def backup(self, **options: Any) -> Instance:
        """Back the tree up."""
        request = {"rootDirectory": "/site", **options} if options else "/site"
        return self.hub().run(names.BACKUP_SITE_CONTENT, request)

    def hub(self, **options: Any) -> Hub:
        """A task hub with these activities."""
        self.last_hub = Hub(self.activities, **options)
        return self.last_hub

    def write(self, request: Request) -> Reply:
        """Answer as E2_WriteManifest: what was copied of the plans is new in their parts."""
        plans = [Plan(*plan) for plan in request.get("plans", [])]
        return Written(
            parts=tuple(PartReference(plan.id, 1, 100) for plan in plans),
            tally=Tally.of(self._of_plan[plan.id] for plan in plans),
            named=self.named,
            manifest=INDEX if request.get("is_last", True) else "",
            advanced=True,
        ).to_json()

    @property
    def ended(self) -> Request:
        """What E2_EndRun was asked for, once."""
        [request] = self.asked[names.END_RUN]
        return request

    @property
    def longest_history(self) -> int:
        """Events in the longest history of all instances."""
        return max(instance.longest_history for instance in self.last_hub.instances)

    def _heard(self, name: str, call: Activity) -> Activity:
        def heard(request: Request) -> Any:
            self.asked[name].append(request)
            answer = call(request)
            if name == names.COPY_FILE_TO_BLOB:
                self._of_plan[request["plan"]] += Copied.from_json(answer).tally
            return answer

        return heard


def status_of(phase: str, files: dict[str, int], done: int, **more: Any) -> dict[str, Any]:
    """A custom status, of files that are new unless it says otherwise; a comparison checks one entry."""
    kinds = (
        "total",
        "done",
        "failed",
        "vanished",
        "skipped",
        "new",
        "changed",
        "unchanged",
        "gone",
        "checked",
    )
    counts = dict.fromkeys(kinds, 0) | {"done": done, "new": done, "checked": int(phase == "done")} | files
    sizes = {"total": 10 * counts["total"], "done": 10 * done, "uploaded": 10 * done}
    return {"phase": phase, "files": counts, "bytes": sizes, "links": 0, "directories": 0} | more
