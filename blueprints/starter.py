"""The door: `POST /orchestrators/{functionName}` starts a backup and answers where to ask how it goes."""

import os

import azure.durable_functions as df
import azure.functions as func

from sitebackup import request
from sitebackup.engine.threads import Disk
from sitebackup.errors import SourceUnavailableError
from sitebackup.settings import Settings

blueprint = df.Blueprint()
_settings = Settings.from_environment(os.environ)
_disk = Disk(_settings.concurrency, deadline=10)  # seconds: the caller waits, and can ask again


@blueprint.route(
    route="orchestrators/{functionName}", methods=[func.HttpMethod.POST], auth_level=func.AuthLevel.FUNCTION
)
@blueprint.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    """Start an orchestration: 202 with its management URLs, or an error that started nothing."""
    function_name = req.route_params["functionName"]
    body = req.get_body()
    # It follows links on the way to the root, whose share may be silent. Another root has another body.
    in_thread = _disk(body[: request.MAX_BODY].decode(errors="replace"))
    try:
        orchestration_input = await in_thread(lambda: request.check(function_name, body, _settings))
    except request.RequestError as error:
        return _refusal(error)
    except SourceUnavailableError as error:
        return _refusal(request.RequestError(503, "RootUnavailable", f"{error}."))
    instance_id = await client.schedule_new_orchestration(function_name, input=orchestration_input)
    return client.create_check_status_response(req, instance_id)


def _refusal(error: request.RequestError) -> func.HttpResponse:
    return func.HttpResponse(error.to_json(), status_code=error.status, mimetype="application/json")
