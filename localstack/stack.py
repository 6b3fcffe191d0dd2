"""Emulator and host together: what `start` and `backup` run, and what the end-to-end tests drive."""

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from localstack.azurite import Azurite
from localstack.host import Host
from localstack.settings import StackSettings, needs_emulator, with_emulator
from sitebackup.settings import Settings


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack. `azurite` is None if the environment names another storage."""

    azurite: Azurite | None
    host: Host

    def ensure_alive(self) -> None:
        """Raise StackError, with its last output, if a part has ended by itself."""
        if self.azurite is not None:
            self.azurite.ensure_alive()
        self.host.ensure_alive()


@contextmanager
def running_stack(settings: StackSettings, environ: Mapping[str, str], *, quiet: bool) -> Generator[Stack]:
    """The stack while the block runs; the app sees `environ` and the emulator's connection string.

    A quiet host keeps its output for error messages, any other writes it to this process's standard streams.
    Raises SettingError for a setting that the app would refuse, or UsageError or StackError, as the parts'
    `start` say, with nothing left running.
    """
    Settings.from_environment(environ)
    with ExitStack() as parts:
        azurite = None
        if needs_emulator(environ):
            azurite = parts.enter_context(Azurite(settings.emulator, settings.data))
            environ = with_emulator(environ, azurite.connection_string)
        yield Stack(azurite, parts.enter_context(Host(settings.port, environ, quiet=quiet)))
