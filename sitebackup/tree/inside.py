"""Whether what was opened lies where it should, also if a directory on the way was swapped for a link."""

import os
import sys


def lies_within(descriptor: int, directory: str, *, itself: bool = False) -> bool:
    """Tell whether an open file or directory is below `directory`, a real path, or is `itself` that one.

    Linux alone can say, through /proc; anywhere else, and without /proc, the answer is yes.
    """
    if sys.platform != "linux" or not os.path.exists("/proc/self/fd"):
        return True
    path = os.readlink(f"/proc/self/fd/{descriptor}")
    return path.startswith(directory.rstrip("/") + "/") or (itself and path == directory)
