"""The door: `POST /orchestrators/{functionName}` starts a backup and answers where to ask how it goes."""

import asyncio
import os

import azure.durable_functions as df
import azure.functions as func

from sitebackup import request
from sitebackup.settings import Settings

blueprint = df.Blueprint()
_settings = Settings.from_environment(os.environ)


@blueprint.route(
    route="orchestrators/{functionName}", methods=[func.HttpMethod.POST], auth_level=func.AuthLevel.FUNCTION
)
@blueprint.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Start an orchestration: 202 with its management URLs, or an error that started nothing."""
    function_name = req.route_params["functionName"]
    try:
        # In a thread: it resolves links on the way to the root, and a mount that hangs must stop no one else.
        orchestration_input = await asyncio.to_thread(request.check, function_name, req.get_body(), _settings)
    except request.RequestError as error:
        return func.HttpResponse(error.to_json(), status_code=error.status, mimetype="application/json")
    instance_id = await client.schedule_new_orchestration(function_name, input=orchestration_input)
    return client.create_check_status_response(req, instance_id)
