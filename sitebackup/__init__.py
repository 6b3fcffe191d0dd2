"""What the app does, free of how it is hosted.

Nothing in here imports Azure Functions: the blueprints register it with the Functions host, and anything
else that speaks `durabletask` can register it too (`registry`). How data flows, a line a package:

    request          what a caller asks for -> the input of an orchestration
    orchestrations   which activity runs when, on counts and references alone; no disk, no network, no clock
    activities       one step each, which reads the tree and writes the service
    engine           what the activities of one process share: connections, threads, limits
    records          what runs leave behind: plans, outcomes, manifests
    tree             the disk: walking, selecting, reading
    blobs            the service: requests, retries, names, errors

A package imports those below it, and none above it. `names`, `errors`, `settings`, `tally` and other modules
of this folder serve them all.
"""

__version__ = "0.1.0"
