"""The backup's orchestrations and activities, registered under the names that histories remember."""

import asyncio
import atexit
import functools
import os
from typing import Any

import azure.durable_functions as df

from sitebackup import activities, names, orchestrators
from sitebackup.engine import Engine
from sitebackup.settings import Settings
from sitebackup.storage import connect

blueprint = df.Blueprint()
_settings = Settings.from_environment(os.environ)

blueprint.orchestration_trigger("ctx", names.BACKUP_SITE_CONTENT)(orchestrators.backup_site_content)
blueprint.orchestration_trigger("ctx", names.LIST_TREE)(orchestrators.list_tree)
blueprint.orchestration_trigger("ctx", names.COPY_TASKS)(orchestrators.copy_tasks)


@blueprint.activity_trigger("request", names.GET_FILE_LIST)
async def get_file_list(request: Any) -> Any:
    return await activities.run(activities.get_file_list, request, _engine)


@blueprint.activity_trigger("request", names.COPY_FILE_TO_BLOB)
async def copy_file_to_blob(request: Any) -> Any:
    return await activities.run(activities.copy_file_to_blob, request, _engine)


@blueprint.activity_trigger("request", names.REPORT_FAILURES)
async def report_failures(request: Any) -> Any:
    return await activities.run(activities.report_failures, request, _engine)


@functools.cache
def _engine() -> Engine:
    """Connect once a process, at the first activity: an app without storage can still be indexed."""
    storage = connect(os.environ)
    engine = Engine(
        _settings, storage.container(names.BACKUPS_CONTAINER), storage.container(names.RUNS_CONTAINER)
    )

    def close() -> None:
        engine.close()
        asyncio.run(storage.close())

    atexit.register(close)
    return engine
