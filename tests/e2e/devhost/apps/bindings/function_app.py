# pyright: reportUnknownMemberType=false
# (the decorators' keyword arguments have no types)
"""A sample app for the tests of the local host: bindings that it has not, and says so."""

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="order/{text?}")
@app.queue_output(arg_name="orders", queue_name="orders", connection="AzureWebJobsStorage")
def order(req: func.HttpRequest, orders: func.Out[str]) -> str:
    """Puts a message on a queue, if there is something to put."""
    if "text" in req.route_params:
        orders.set(req.route_params["text"])
    return "taken"


@app.route(route="read")
@app.blob_input(arg_name="content", path="container/blob", connection="AzureWebJobsStorage")
def read(req: func.HttpRequest, content: str) -> str:
    return content


@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
def tick(timer: func.TimerRequest) -> None:
    """Is never fired here."""


@app.queue_trigger(arg_name="message", queue_name="orders", connection="AzureWebJobsStorage")
def take_order(message: func.QueueMessage) -> None:
    """Is never called here."""
