"""Bodies in and out of the host's own endpoints: JSON, and errors as the Durable extension words them."""

import json
from typing import Any

from aiohttp import web


async def body_bytes(request: web.Request) -> bytes:
    """The body as it came. Raises HTTPBadRequest if its transfer is broken, HTTPRequestEntityTooLarge."""
    try:
        return await request.read()
    except web.RequestPayloadError as error:
        raise web.HTTPBadRequest from error


async def body_text(request: web.Request) -> str:
    """The body in the charset that the request names, or UTF-8.

    Raises ValueError if the body is no such text, or nobody knows the charset.
    """
    body = await body_bytes(request)
    try:
        text = body.decode(request.charset or "utf-8")
        text.encode()  # some codecs yield lone surrogates, which no message can carry
    except LookupError as error:
        raise ValueError(f"The charset '{request.charset}' is not supported.") from error
    return text


def parse_json(text: str) -> Any:
    """The value of a JSON text. Raises ValueError, also for one that is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("The JSON is nested too deeply.") from error


def json_answer(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A document as the answer."""
    body = json.dumps(document)  # ASCII: a text in it need not be valid Unicode
    return web.Response(text=body, status=status, content_type="application/json", headers=headers)


def error_answer(status: int, message: str, error: Exception | None = None) -> web.Response:
    """The message, and the cause without its stack trace."""
    document: dict[str, Any] = {"Message": message}
    if error is not None:
        document |= {
            "ExceptionMessage": str(error),
            "ExceptionType": type(error).__name__,
            "StackTrace": None,
        }
    return json_answer(document, status)
