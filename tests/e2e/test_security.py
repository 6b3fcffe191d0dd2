"""What docs/security.md promises of this app's own door: who gets in, and how far."""

import re
from pathlib import Path
from typing import Any

import httpx

from localstack.azurite import Azurite
from localstack.settings import PROJECT, STORAGE_SETTING
from tests.e2e.devhost.hosts import LocalHost, host_process
from tests.e2e.support.waiting import wait_until

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

        # The answer has a key to the task hub; that door, too, leads to nothing outside the allowed roots.
        hub = {"x-functions-key": httpx.URL(started.json()["statusQueryGetUri"]).params["code"]}
        name = "/runtime/webhooks/durabletask/orchestrators/E2_BackupSiteContent"
        assert host.http.post(f"{name}/other", json="/etc", headers=mine).status_code == 401
        assert host.http.post(f"{name}/other", json="/etc", headers=hub).status_code == 202
        wait_until(lambda: _status(host, "other", hub)["runtimeStatus"] == "Failed", 30)
        assert "'/etc' is outside the directories" in _status(host, "other", hub)["output"]

        everything = host.http.get(INSTANCES, headers={"x-functions-key": keys["Master key"]}).json()
        assert {it["instanceId"] for it in everything} == {started.json()["id"], "other"}


def _status(host: LocalHost, instance: str, key: dict[str, str]) -> dict[str, Any]:
    return host.http.get(f"{INSTANCES}/{instance}", headers=key).json()
