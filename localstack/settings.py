"""The stack's settings, read once from the environment. `make` hands its variables on the same way.

Where storage is, the app reads from local.settings.json too, and so do the commands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from devhost.settings import SettingsError, app_environment
from localstack.errors import UsageError

PROJECT = Path(__file__).resolve().parent.parent
"""The app's own directory: `function_app.py`, `host.json`, and `node_modules` beside them."""

STORAGE_SETTING = "AzureWebJobsStorage"
"""The app setting that says where its storage is."""

BACKUP_STORAGE_SETTING = "BackupStorage"
"""The app setting that says where backups go, if it is another storage."""

IN_MEMORY = ":memory:"
"""As `AZURITE_DATA`: the emulator forgets everything when it stops."""


@dataclass(frozen=True, slots=True)
class EmulatorPorts:
    """Where the emulator listens on loopback. 0 lets the system choose; `Azurite.ports` then says what."""

    blob: int
    queue: int
    table: int

    @property
    def connection_string(self) -> str:
        """The emulator's connection string at these ports, a value for the setting AzureWebJobsStorage."""
        endpoints = {"Blob": self.blob, "Queue": self.queue, "Table": self.table}
        return f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_ACCOUNT_KEY};" + "".join(
            f"{name}Endpoint=http://127.0.0.1:{port}/{_ACCOUNT};" for name, port in endpoints.items()
        )


# Account and key of every emulator, published in its documentation: no secret.
_ACCOUNT = "devstoreaccount1"
_ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True, slots=True)
class StackSettings:
    """Ports of the stack, and the folder where the emulator keeps its blobs (None: in memory)."""

    port: int
    emulator: EmulatorPorts
    data: Path | None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read `PORT`, `AZURITE_{BLOB,QUEUE,TABLE}_PORT` and `AZURITE_DATA`; what is missing has its default.

        A relative `AZURITE_DATA` counts from the project's directory. Raises UsageError for a bad port.
        """
        data = environ.get("AZURITE_DATA") or ".azurite"
        return cls(
            port=_port(environ, "PORT", 7071, lowest=1),
            emulator=EmulatorPorts(
                blob=_port(environ, "AZURITE_BLOB_PORT", 10000),
                queue=_port(environ, "AZURITE_QUEUE_PORT", 10001),
                table=_port(environ, "AZURITE_TABLE_PORT", 10002),
            ),
            data=None if data == IN_MEMORY else PROJECT / data,
        )


def _port(environ: Mapping[str, str], name: str, default: int, lowest: int = 0) -> int:
    text = environ.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and lowest <= int(text) <= 65535):
        raise UsageError(f"{name}={text!r} is not a port number from {lowest} to 65535.")
    return int(text)


def app_environ() -> dict[str, str]:
    """This process's environment over the values in the project's local.settings.json: what the app will see.

    Raises UsageError if the file cannot be read.
    """
    try:
        return app_environment(PROJECT)
    except SettingsError as error:
        raise UsageError(str(error)) from error


def needs_emulator(environ: Mapping[str, str]) -> bool:
    """Whether the app or its backups have no storage but the emulator."""
    return not (names_other_storage(environ) and names_other_backup_storage(environ))


def with_emulator(environ: Mapping[str, str], connection_string: str) -> dict[str, str]:
    """`environ`, in which each setting that means the emulator says where it is."""
    emulated = [name for name in (STORAGE_SETTING, BACKUP_STORAGE_SETTING) if _means_emulator(environ, name)]
    if not names_other_storage(environ):
        emulated.append(STORAGE_SETTING)
    return {**environ, **dict.fromkeys(emulated, connection_string)}


def names_other_backup_storage(environ: Mapping[str, str]) -> bool:
    """Whether backups go elsewhere than into the emulator: they may have a storage of their own."""
    if _means_emulator(environ, BACKUP_STORAGE_SETTING):
        return False
    return names_other_storage(environ, BACKUP_STORAGE_SETTING) or names_other_storage(environ)


def names_other_storage(environ: Mapping[str, str], setting: str = STORAGE_SETTING) -> bool:
    """Whether the environment already says by `setting` where storage is, and it is not the emulator."""
    if environ.get(setting):
        return not _means_emulator(environ, setting)
    return any(name.startswith(f"{setting}__") and value for name, value in environ.items())


def _means_emulator(environ: Mapping[str, str], setting: str) -> bool:
    return "usedevelopmentstorage=true" in environ.get(setting, "").replace(" ", "").lower()
