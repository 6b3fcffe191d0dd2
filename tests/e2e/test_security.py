"""What docs/security.md promises of this app's own door: who gets in, and how far."""

import re
from pathlib import Path

from localstack.azurite import Azurite
from localstack.settings import PROJECT, STORAGE_SETTING
from tests.e2e.devhost.hosts import host_process

START = "/orchestrators/E2_BackupSiteContent"
INSTANCES = "/runtime/webhooks/durabletask/instances"


def test_a_function_key_starts_backups_and_opens_nothing_else(azurite: Azurite, tmp_path: Path) -> None:
    environment = {STORAGE_SETTING: azurite.connection_string, "BACKUP_ALLOWED_ROOTS": str(tmp_path)}
    with host_process(PROJECT, tmp_path / "log", "--enable-auth", environment=environment) as host:
        host.ready()
        keys = dict(re.findall(r"^(.+ key): (\S+)$", host.output, re.MULTILINE))
        for refused in ({}, {"x-functions-key": "guessed"}):
            answer = host.http.post(START, content=b'"/etc"', headers=refused)
            assert (answer.status_code, answer.content) == (401, b"")

        mine = {"x-functions-key": keys["Default function key"]}
        started = host.http.post(START, json=str(tmp_path / "missing"), headers=mine)
        assert started.status_code == 202
        for path in (INSTANCES, f"{INSTANCES}/{started.json()['id']}", "/admin/functions"):
            assert host.http.get(path, headers=mine).status_code == 401
        assert host.http.get(started.json()["statusQueryGetUri"]).is_success

        everything = host.http.get(INSTANCES, headers={"x-functions-key": keys["Master key"]}).json()
        assert [it["instanceId"] for it in everything] == [started.json()["id"]]
