"""The storage emulator as the tests and the commands use it."""

from pathlib import Path

from azure.storage.blob import ContainerClient

from localstack.azurite import Azurite
from localstack.settings import EmulatorPorts


def test_an_emulator_started_again_has_its_ports_and_its_blobs(tmp_path: Path) -> None:
    with Azurite(EmulatorPorts(0, 0, 0), tmp_path) as emulator:
        ports = emulator.ports
        with ContainerClient.from_connection_string(emulator.connection_string, "kept") as container:
            container.create_container()
            container.upload_blob("a", b"still there")
            emulator.stop()
            emulator.start()

            assert emulator.ports == ports
            assert container.download_blob("a").readall() == b"still there"
