"""The tutorial's backup, as it is written there: one orchestration, and one activity a file.

https://learn.microsoft.com/azure/azure-functions/durable/durable-functions-cloud-backup, for the SDK's second
generation, and with one storage client a process instead of one a file. The container
must be there.
"""

import functools
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from azure.storage.blob.aio import ContainerClient
from durabletask.task import OrchestrationContext, Task, when_all

app = df.DFApp()


@app.route(route="orchestrators/{functionName}", methods=[func.HttpMethod.POST])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    instance_id = await client.schedule_new_orchestration(
        req.route_params["functionName"], input=req.get_json()
    )
    return client.create_check_status_response(req, instance_id)


@app.function_name("E2_BackupSiteContent")
@app.orchestration_trigger("ctx", "E2_BackupSiteContent")
def back_up(ctx: OrchestrationContext, root: str) -> Generator[Task[Any], Any, int]:
    files = yield ctx.call_activity("E2_GetFileList", input=root)
    tasks: list[Task[int]] = [ctx.call_activity("E2_CopyFileToBlob", input=file) for file in files]
    sizes = yield when_all(tasks)
    return sum(sizes)


@app.function_name("E2_GetFileList")
@app.activity_trigger("root", "E2_GetFileList")
def get_file_list(root: str) -> list[str]:
    return [str(Path(folder, name)) for folder, _, names in os.walk(root) for name in names]


@app.function_name("E2_CopyFileToBlob")
@app.activity_trigger("path", "E2_CopyFileToBlob")
async def copy_file_to_blob(path: str) -> int:
    container = _container()
    size = Path(path).stat().st_size  # noqa: ASYNC240 - as in the tutorial, nothing but the upload is awaited
    with Path(path).open("rb") as file:  # noqa: ASYNC230
        await container.upload_blob(path.lstrip("/"), file, overwrite=True)
    return size


@functools.cache
def _container() -> ContainerClient:
    return ContainerClient.from_connection_string(os.environ["AzureWebJobsStorage"], "backups")  # noqa: SIM112 - the Functions host names it so
