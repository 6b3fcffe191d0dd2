"""Service codes -> the app's own errors."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import cast

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from sitebackup.errors import (
    BackupError,
    BlobMissingError,
    BlobRefusedError,
    ConditionNotMetError,
    FatalError,
    SourceConditionNotMetError,
    StorageUnavailableError,
)


def _header(error: HttpResponseError, name: str) -> str | None:
    return cast("Mapping[str, str]", getattr(error.response, "headers", {})).get(name)


def service_code(error: HttpResponseError) -> str:
    return _header(error, "x-ms-error-code") or str(error.status_code or type(error).__name__)


_NOT_NOW = "Storage cannot serve the request now ({})."

_MEANINGS: list[tuple[type[BackupError], str, set[str]]] = [
    (
        BlobMissingError,
        "A blob is missing ({}).",
        {"BlobNotFound", "ContainerNotFound", "CannotVerifyCopySource 404"},
    ),
    (
        ConditionNotMetError,
        "A blob is not what it was ({}).",
        {
            "BlobAlreadyExists",  # 409, to If-None-Match: *
            "ConditionNotMet",
            "TargetConditionNotMet",  # of a copy
        },
    ),
    (
        SourceConditionNotMetError,
        "A blob to copy is not what it was ({}).",
        {"SourceConditionNotMet", "CannotVerifyCopySource 412"},
    ),
    (
        BlobRefusedError,
        "storage refuses the blob ({})",
        {
            "BlobArchived",
            "BlobBeingRehydrated",
            "BlobImmutableDueToPolicy",
            "BlobUsesCustomerSpecifiedEncryption",
            "BlockCountExceedsLimit",
            "InvalidBlobType",
            "InvalidResourceName",
            "InvalidUri",
            "LeaseIdMissing",
            "OutOfRangeInput",
            "PendingCopyOperation",
            "RequestBodyTooLarge",
            "SnapshotsPresent",
        },
    ),
    (
        StorageUnavailableError,
        _NOT_NOW,
        {
            "AccountBeingCreated",
            "ContainerBeingDeleted",
            "InvalidBlobOrBlock",  # another attempt's commit threw away this attempt's blocks
            "InvalidBlockList",
            "Md5Mismatch",  # the request was damaged on its way
            "OperationTimedOut",
            "RequestBodyIncomplete",
            "ServerBusy",
            "SystemInUse",
        },
    ),
]
"""What the service's codes mean, some with the status beside: an error, and its text around code and request
(https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes)."""

_TRANSIENT_STATUS = {408, 429, 500, 502, 503, 504}


@asynccontextmanager
async def translated() -> AsyncGenerator[None]:
    """Turn the client's errors into the app's own."""
    try:
        yield
    except HttpResponseError as error:
        # Of the token's source: there is no identity, or it is not to be reached.
        if isinstance(error, ClientAuthenticationError) and error.response is None:
            raise StorageUnavailableError("No token could be obtained for the app's identity.") from error
        raise _translate(error) from error
    except (AzureError, TimeoutError) as error:  # no answer at all: refused, reset, timed out, unknown host
        raise StorageUnavailableError(f"Storage does not answer ({type(error).__name__}).") from error


def _translate(error: HttpResponseError) -> Exception:
    code = service_code(error)
    text = f"{code}, request {_header(error, 'x-ms-request-id') or 'unknown'}"
    for kind, meaning, codes in _MEANINGS:
        if code in codes or f"{code} {error.status_code}" in codes:
            return kind(meaning.format(text))
    if error.status_code in _TRANSIENT_STATUS:
        return StorageUnavailableError(_NOT_NOW.format(text))
    if error.status_code in (401, 403):
        return FatalError(f"Storage refuses the app's credentials ({text}).")
    # Of all that storage may ever object to in a request, most is about the one blob that it is for.
    return BlobRefusedError(f"storage refuses the request ({text})")
