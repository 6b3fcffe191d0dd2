"""infra/ against itself, against the code, and against what a deployment must never do."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from localstack.settings import PROJECT
from sitebackup import names
from sitebackup.engine.process import ProcessEngine
from sitebackup.settings import SettingError, Settings
from tests.support.bicep import (
    INFRA,
    BicepFile,
    Resource,
    body_of,
    descriptions,
    outputs_used,
    parse_all,
    path_of,
)

FILES = parse_all()
MAIN = FILES["main.bicep"]
RESOURCES = [resource for file in FILES.values() for resource in file.resources()]

# Read by the Functions host, not by the code.
OF_THE_HOST = {
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__queueServiceUri",
    "AzureWebJobsStorage__tableServiceUri",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
}
# Read by the code and no setting of this deployment.
ELSEWHERE = {
    "HOME",  # the platform's
    "WEBSITE_SITE_NAME",  # the platform's
    "BackupStorage",  # a connection string holds a key; there are none here
    "BackupStorage__accountName",  # the other way to say BackupStorage__blobServiceUri
}

ROLES = {
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
}


GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class Recorder(Mapping[str, str]):
    """An environment that remembers which names it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("settings are read by name")

    def __len__(self) -> int:
        return len(self._values)


def of_type(kind: str) -> list[Resource]:
    found = [resource for resource in RESOURCES if resource.type == kind]
    assert found, kind
    return found


def app_settings() -> dict[str, Any]:
    [settings] = [resource for resource in RESOURCES if resource.body["name"] == "appsettings"]
    return settings.body["properties"]


# ---- against itself


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_every_parameter_says_what_it_is(file: BicepFile) -> None:
    undescribed = [name for name, it in file.section("parameters").items() if not descriptions(it)]
    assert undescribed == []


def test_every_parameter_of_a_deployment_but_the_region_has_a_default() -> None:
    assert [name for name, it in MAIN.section("parameters").items() if it["default"] is None] == ["location"]


def test_azd_never_deploys_without_having_asked_for_the_region() -> None:
    """It asks for what has no default, and for a region where the metadata says so."""
    region = MAIN.section("parameters")["location"]
    assert region["default"] is None
    found = {it["type"]: it["argument"] for it in region["decorators"]}
    assert found["metadata"] == {"azd": {"type": "location"}}
    filled = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    assert filled["location"] == {"value": "${AZURE_LOCATION}"}


def test_every_module_is_a_file_here_and_gets_the_parameters_that_it_declares() -> None:
    for symbol, module in MAIN.section("modules").items():
        declared = FILES[module["detail"]["path"]].section("parameters")
        required = {name for name, parameter in declared.items() if parameter["default"] is None}
        passed = body_of(module)["params"].keys()
        assert required <= passed <= declared.keys(), symbol


def test_every_module_output_that_is_read_exists() -> None:
    used = outputs_used(MAIN.text)
    assert used
    for symbol, output in used:
        file = FILES[MAIN.section("modules")[symbol]["detail"]["path"]]
        assert output in file.section("outputs"), f"{symbol}.outputs.{output}"


def test_every_parameter_and_variable_is_used() -> None:
    for file in FILES.values():
        for name in [*file.section("parameters"), *file.section("variables")]:
            assert len(re.findall(rf"\b{name}\b", file.text)) > 1, f"{file.name}: {name}"


def test_what_azd_fills_in_are_parameters_of_the_deployment() -> None:
    filled = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    assert filled.keys() <= MAIN.section("parameters").keys()


def test_azd_finds_the_site_of_its_service() -> None:
    [service] = re.findall(r"^services:\n  (\w+):", (PROJECT / "azure.yaml").read_text(), re.MULTILINE)
    assert f"'azd-service-name': '{service}'" in FILES["modules/function-app.bicep"].text


# ---- against the code


async def test_the_settings_of_the_app_are_those_that_the_code_reads() -> None:
    settings = app_settings()
    account = "https://backups.example"
    environment = Recorder({name: account for name in settings if name.startswith("BackupStorage")})
    engine = ProcessEngine(Settings.from_environment(environment), environment)
    engine()  # connects: raises unless what the deployment sets is enough
    await engine.close()

    read = environment.asked
    assert read - settings.keys() == ELSEWHERE, "settings of the code that the deployment leaves out"
    assert settings.keys() - read == OF_THE_HOST, "settings of the deployment that nobody reads"


def test_the_code_has_no_other_way_to_read_a_setting() -> None:
    """The domain is handed an environment; the blueprints hand it on whole."""
    for source in (PROJECT / "sitebackup").rglob("*.py"):
        assert not re.search(r"environ\b|getenv", source.read_text()), source
    for source in (PROJECT / "blueprints").rglob("*.py"):
        assert not re.search(r"environ[.\[]|getenv", source.read_text()), source


@pytest.mark.parametrize(
    ("parameter", "setting", "field"),
    [
        ("concurrency", "BACKUP_CONCURRENCY", "concurrency"),
        ("listBudget", "BACKUP_LIST_BUDGET", "list_budget"),
    ],
)
def test_numbers_have_the_default_and_the_limits_of_the_code(
    parameter: str, setting: str, field: str
) -> None:
    declared = MAIN.section("parameters")[parameter]
    limits = {it["type"]: it["argument"] for it in declared["decorators"]}
    assert declared["default"] == getattr(Settings.from_environment({}), field)
    for limit in (limits["min_value"], limits["max_value"]):
        Settings.from_environment({setting: str(limit)})
    for beyond in (limits["min_value"] - 1, limits["max_value"] + 1):
        with pytest.raises(SettingError):
            Settings.from_environment({setting: str(beyond)})


def test_the_containers_are_those_that_the_code_writes_to() -> None:
    variables = FILES["modules/backup-storage.bicep"].section("variables")
    containers = {name: it["value"] for name, it in variables.items() if name.endswith("Container")}
    assert containers == {
        "backupsContainer": names.BACKUPS_CONTAINER,
        "historyContainer": names.HISTORY_CONTAINER,
        "catalogContainer": names.CATALOG_CONTAINER,
        "runsContainer": names.RUNS_CONTAINER,
    }
    assert variables["containerNames"]["value"] == list(containers)


def test_the_app_runs_on_the_python_that_it_is_tested_with() -> None:
    [site] = of_type("Microsoft.Web/sites")
    version = (PROJECT / ".python-version").read_text().strip()
    assert site.body["properties"]["functionAppConfig"]["runtime"] == {"name": "python", "version": version}


# ---- what a deployment must do, and never


def test_no_storage_account_has_a_key_a_public_blob_or_an_unencrypted_door() -> None:
    accounts = of_type("Microsoft.Storage/storageAccounts")
    assert len(accounts) == 2
    for account in accounts:
        properties = account.body["properties"]
        assert properties["allowSharedKeyAccess"] is False
        assert properties["allowBlobPublicAccess"] is False
        assert properties["allowCrossTenantReplication"] is False
        assert properties["supportsHttpsTrafficOnly"] is True
        assert properties["minimumTlsVersion"] == "TLS1_2"


def test_backups_are_versioned_and_what_is_deleted_can_be_restored() -> None:
    [blobs] = [it for it in of_type("Microsoft.Storage/storageAccounts/blobServices") if "backup" in it.file]
    properties = blobs.body["properties"]
    assert properties["isVersioningEnabled"] is True
    assert properties["deleteRetentionPolicy"] == {"enabled": True, "days": "softDeleteDays"}
    assert properties["containerDeleteRetentionPolicy"] == {"enabled": True, "days": "softDeleteDays"}


def test_no_rule_deletes_a_backup_that_has_not_been_replaced() -> None:
    [policy] = of_type("Microsoft.Storage/storageAccounts/managementPolicies")
    for rule in policy.body["properties"]["policy"]["rules"]:
        definition = rule["definition"]
        if "baseBlob" in definition["actions"]:
            assert definition["filters"]["prefixMatch"] == ["${runsContainer}/"]


def test_what_was_replaced_and_what_runs_remember_of_themselves_does_not_stay_for_ever() -> None:
    [policy] = of_type("Microsoft.Storage/storageAccounts/managementPolicies")
    rules = {rule["name"]: rule for rule in policy.body["properties"]["policy"]["rules"]}
    versions, records = (rules[name]["definition"] for name in ("old-versions", "run-records"))
    assert all(rule["enabled"] for rule in rules.values())
    assert versions["filters"]["prefixMatch"] == [
        f"${{{name}Container}}/" for name in ("backups", "history", "catalog", "runs")
    ]
    assert versions["actions"]["version"] == {"delete": {"daysAfterCreationGreaterThan": "versionDays"}}
    assert records["actions"]["baseBlob"] == {"delete": {"daysAfterModificationGreaterThan": "runRecordDays"}}


def test_access_is_what_is_needed_and_no_more() -> None:
    granted = {
        (it.file, path_of(it.body["scope"]), properties["principalId"], path_of(role["resource_name_1"]))
        for it in of_type("Microsoft.Authorization/roleAssignments")
        for properties in [it.body["properties"]]
        for role in [properties["roleDefinitionId"]["function"]["parameters"]]
    }
    backup, host, monitoring = (
        f"modules/{name}.bicep" for name in ("backup-storage", "host-storage", "monitoring")
    )
    assert granted == {
        (backup, "containers[index]", "appPrincipalId", "storageBlobDataContributor"),
        (backup, "containers[index]", "operatorPrincipalId", "storageBlobDataReader"),
        (host, "account", "appPrincipalId", "role.value"),
        (monitoring, "applicationInsights", "appPrincipalId", "monitoringMetricsPublisher"),
    }
    declared = {
        (name, role, identifier)
        for name, file in FILES.items()
        for role, identifier in re.findall(rf"(\w+)\s*[:=] '({GUID})'", file.text)
    }
    assert declared == {
        (backup, "storageBlobDataContributor", ROLES["Storage Blob Data Contributor"]),
        (backup, "storageBlobDataReader", ROLES["Storage Blob Data Reader"]),
        (host, "storageBlobDataOwner", ROLES["Storage Blob Data Owner"]),
        (host, "storageQueueDataContributor", ROLES["Storage Queue Data Contributor"]),
        (host, "storageTableDataContributor", ROLES["Storage Table Data Contributor"]),
        (monitoring, "monitoringMetricsPublisher", ROLES["Monitoring Metrics Publisher"]),
    }


def test_the_one_key_that_is_read_goes_to_the_platform_and_nowhere_else() -> None:
    assert [name for name, file in FILES.items() if re.search(r"listKeys|listAccountSas", file.text)] == [
        "modules/content.bicep"
    ]
    assert FILES["modules/content.bicep"].text.count("listKeys") == 1
    assert FILES["modules/content.bicep"].section("outputs") == {}
    assert not any("AccountKey" in file.text for file in FILES.values())


def test_telemetry_and_publishing_take_identities_only() -> None:
    [insights] = of_type("Microsoft.Insights/components")
    [workspace] = of_type("Microsoft.OperationalInsights/workspaces")
    publishing = of_type("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    assert insights.body["properties"]["DisableLocalAuth"] is True
    assert workspace.body["properties"]["features"]["disableLocalAuth"] is True
    assert {it.body["name"]: it.body["properties"] for it in publishing} == {
        "ftp": {"allow": False},
        "scm": {"allow": False},
    }
    assert app_settings()["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"].endswith(";Authorization=AAD")


def test_no_two_configurations_of_the_site_are_written_at_the_same_time() -> None:
    """Azure answers the second one with a conflict."""
    of_the_site = [it for it in RESOURCES if it.file.endswith("function-app.bicep") and "parent" in it.body]
    waits_for = {it.symbol: it.body.get("dependsOn", []) for it in of_the_site}
    assert waits_for == {"settings": [], "ftp": ["settings"], "scm": ["ftp"]}


def test_a_module_that_may_be_left_out_is_not_read_as_if_it_were_always_there() -> None:
    """The compiler warns of it (BCP318). `module!.outputs`, under the same condition, says it is."""
    conditional = [name for name, it in MAIN.section("modules").items() if "condition" in it["config"]]
    assert "network" in conditional
    assert [name for name in conditional if f"{name}.outputs" in MAIN.text] == []


def test_the_site_answers_over_tls_only() -> None:
    [site] = of_type("Microsoft.Web/sites")
    assert site.body["properties"]["httpsOnly"] is True
    assert site.body["properties"]["siteConfig"]["minTlsVersion"] == "1.2"


def test_one_instance_is_always_there_for_orchestrations() -> None:
    [plan] = of_type("Microsoft.Web/serverfarms")
    [site] = of_type("Microsoft.Web/sites")
    scaling = site.body["properties"]["functionAppConfig"]["scaleAndConcurrency"]
    assert plan.body["sku"] == {"name": "FC1", "tier": "FlexConsumption"}
    assert scaling["alwaysReady"] == [{"name": "durable", "instanceCount": 1}]


def test_in_a_private_network_every_service_in_use_has_an_endpoint_and_a_name() -> None:
    variables = FILES["modules/network.bicep"].section("variables")
    endpoints = {(path_of(it["accountId"]), it["service"]) for it in variables["endpoints"]["value"]}
    assert endpoints == {
        ("hostStorageId", "blob"),
        ("hostStorageId", "queue"),
        ("hostStorageId", "table"),
        ("backupStorageId", "blob"),
    }
    assert {service for _, service in endpoints} == set(variables["services"]["value"])
    [zone] = of_type("Microsoft.Network/privateDnsZones")
    assert zone.body["name"] == "privatelink.${service}.${environment().suffixes.storage}"
    [group] = of_type("Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
    assert path_of(group.body["parent"]) == "privateEndpoints[index]"


def test_a_share_is_mounted_where_backups_are_allowed_and_unmounted_when_it_is_given_up() -> None:
    mounts = {it.file: it.body for it in RESOURCES if it.body["name"] == "azurestorageaccounts"}
    share = mounts["modules/content.bicep"]["properties"]["content"]
    assert (share["type"], share["shareName"], share["mountPath"]) == ("AzureFiles", "share", "mountPath")
    assert mounts["modules/no-content.bicep"]["properties"] == {}
    modules = MAIN.section("modules")
    assert body_of(modules["content"])["params"]["mountPath"] == "contentMountPath"
    assert "concat(allowedRoots, [contentMountPath])" in MAIN.text


def test_logs_and_traces_leave_the_host_as_open_telemetry() -> None:
    host = json.loads((PROJECT / "host.json").read_text())
    assert host["telemetryMode"] == "OpenTelemetry"
    assert host["extensions"]["durableTask"]["tracing"] == {
        "distributedTracingEnabled": True,
        "version": "V2",
    }


def test_no_event_that_alerts_and_workbook_read_is_sampled_away() -> None:
    """The exporter drops the log lines of a trace that it does not keep, and keeps five a second by default.

    https://learn.microsoft.com/azure/azure-monitor/app/opentelemetry-sampling
    """
    sampler = {name: value for name, value in app_settings().items() if name.startswith("OTEL_")}
    assert sampler == {"OTEL_TRACES_SAMPLER": "microsoft.fixed_percentage", "OTEL_TRACES_SAMPLER_ARG": "1.0"}


def test_the_work_of_a_killed_host_does_not_wait_for_five_minutes() -> None:
    """Five minutes are the extension's default. docs/decisions.md has the reasons for two."""
    storage = json.loads((PROJECT / "host.json").read_text())["extensions"]["durableTask"]["storageProvider"]
    assert storage["controlQueueVisibilityTimeout"] == "00:02:00"
    assert storage["workItemQueueVisibilityTimeout"] == "00:02:00"


def test_the_workflow_runs_what_ci_does_and_what_needs_an_open_network() -> None:
    text = (PROJECT / ".github/workflows/ci.yml").read_text()
    goals = set(re.findall(r"^([a-z0-9-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    ran = set(re.findall(r"(?<![\w-])make ([a-z0-9-]+)", text))
    in_ci = set(re.findall(r"^make (\w+)$", (PROJECT / ".ci/run").read_text(), re.MULTILINE))
    assert in_ci == {"lint", "test"}
    assert in_ci | {"package", "test-e2e"} <= ran <= goals
    for command in ("az bicep build --file infra/main.bicep", "azure-functions-core-tools@4", "pip-audit=="):
        assert command in text


# ---- the documents


def test_the_workbook_has_every_query_that_lists_something() -> None:
    text = FILES["modules/workbook.bicep"].text
    queries = {path.name for path in (INFRA / "queries").iterdir()}
    answers_yes_or_no = {"none.kql"}
    assert set(re.findall(r"loadTextContent\('../queries/([^']+)'\)", text)) == queries - answers_yes_or_no


@pytest.mark.parametrize("query", [path.stem for path in (INFRA / "queries").iterdir()])
def test_the_queries_of_the_documents_are_those_that_are_deployed(query: str) -> None:
    deployed = (INFRA / f"queries/{query}.kql").read_text()
    assert f"```kusto\n{deployed}```\n" in (PROJECT / "docs/operate.md").read_text()


def test_every_parameter_of_a_deployment_is_documented_with_its_default() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \|[^|]*\| ([^|]+) \|", (PROJECT / "docs/deploy.md").read_text(), re.MULTILINE
    )
    documented = {name: default.strip("`") for name, default in rows}
    parameters = MAIN.section("parameters")
    assert documented.keys() == parameters.keys()
    for name, parameter in parameters.items():
        match parameter["default"]:
            case None:
                default = "required"
            case "":
                default = "nobody" if documented[name] == "nobody" else "none"
            case [str(default)] | str(default):
                pass
            case value:
                default = json.dumps(value)
        assert documented[name] == default, name
