"""What goes wrong here, each with the exit code that it gets. The messages go to the terminal as they are."""

from typing import ClassVar


class StackError(Exception):
    """The emulator or the host did not start, or ended early."""

    exit_code: ClassVar = 1


class UsageError(Exception):
    """What was asked for cannot be done as it stands; the message says what to change."""

    exit_code: ClassVar = 2
