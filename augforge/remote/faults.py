"""What goes wrong on the way to an object store: what passes is tried again for a while, the rest is said in one line.

The libraries of the stores raise errors of their own; they are told apart by their HTTP status and by their names, so
that none of those libraries has to be loaded for it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from augforge.errors import RemoteError

PATIENCE = 60.0
"""Seconds after which nothing is tried again."""
FIRST, LONGEST = 0.1, 5.0
"""Seconds of the first pause and of the longest; each is about twice the one before."""
PASSING_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
PASSING_CODES = frozenset({
    "ConditionalRequestConflict", "InternalError", "OperationAborted", "RequestTimeout", "ServiceUnavailable",
    "SlowDown", "Throttling",
    "ThrottlingException",
})  # fmt: skip
PASSING = frozenset({
    "ChecksumError", "ClientConnectionError", "ClientConnectorError", "ClientOSError", "ClientPayloadError",
    "ConnectTimeoutError", "ConnectionClosedError", "ConnectionError", "EndpointConnectionError", "FSTimeoutError",
    "HTTPClientError", "IncompleteRead", "IncompleteReadError", "ReadTimeoutError", "ResponseParserError",
    "ResponseStreamingError", "ServerDisconnectedError", "ServerTimeoutError", "ServiceRequestError",
    "ServiceResponseError", "TimeoutError",
})  # fmt: skip
"""The errors of botocore, aiohttp, urllib3, gcsfs, azure-core and fsspec that a second try may not meet."""
UNKNOWN_USER = frozenset({
    "CredentialRetrievalError", "CredentialUnavailableError", "DefaultCredentialsError", "NoAuthTokenError",
    "NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "RefreshError", "TokenRetrievalError",
})  # fmt: skip
FORBIDDEN = "Forbidden: "
"""How the error of gcsfs begins that stands for 403, and has no status."""
KEPT = "what was done is kept: run the same command to go on"
PLAIN = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
"""Errors that say something of the object, which whoever asked understands."""
Result = TypeVar("Result")


def steadily(what: str, call: Callable[[], Result], patience: float | None = None) -> Result:
    """What `call` returns; a fault that may pass is met again and again for a while. It must do no harm twice.

    Args:
        what: what is done, for the error: "s3://bucket/a.jpg cannot be read".
        call: the request.
        patience: seconds for which it is tried again, PATIENCE by default.

    Raises:
        RemoteError: the store refuses it, or did not answer for so long.
        OSError: one of `PLAIN`, as the library raises it.
    """
    until, pause = time.monotonic() + (PATIENCE if patience is None else patience), FIRST
    while True:
        try:
            return call()
        except PLAIN:
            raise
        except Exception as error:
            if not _passes(error) or time.monotonic() + pause > until:
                if not _is_of_a_store(error):
                    raise
                raise refusal(what, error) from error
        time.sleep(pause * random.uniform(0.5, 1))
        pause = min(2 * pause, LONGEST)


def refusal(what: str, error: BaseException) -> RemoteError:
    """The error that says in one line what went wrong."""
    status, names = _status(error), _names(error)
    if names & UNKNOWN_USER:
        return RemoteError(
            f"{what}: no credentials were found",
            "set them as for other tools (for S3: AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for gs: "
            "GOOGLE_APPLICATION_CREDENTIALS; for az: AZURE_STORAGE_CONNECTION_STRING); "
            "a public bucket of S3 is read with FSSPEC_S3_ANON=true",
        )
    if status in (401, 403) or "PermissionError" in names or str(error).startswith(FORBIDDEN):
        return RemoteError(f"{what}: access is denied ({_said(error)})", "check the credentials and what they allow")
    if _passes(error):
        return RemoteError(f"{what}: the store did not answer in {PATIENCE:.0f} s ({_said(error)})", KEPT)
    return RemoteError(f"{what}: {_said(error)}", "check the URL, the region and the endpoint")


def is_refused_condition(error: BaseException) -> bool:
    """Whether a store did not write because something else was there than the writer had said."""
    return _status(error) == 412 or "FileExistsError" in _names(error)


def _passes(error: BaseException) -> bool:
    """Whether it may be gone the next time."""
    names = _names(error)
    if names & UNKNOWN_USER:
        return False
    if names & PASSING:  # aiohttp gives an answer that was cut off the status 400
        return True
    return _status(error) in PASSING_STATUS or _code(error) in PASSING_CODES


def _is_of_a_store(error: BaseException) -> bool:
    """Whether it is a failure of a store at all, and no defect."""
    known = _status(error) is not None or _code(error) or _names(error) & (PASSING | UNKNOWN_USER)
    return bool(known) or isinstance(error, OSError) or any("botocore" in type(e).__module__ for e in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it came of."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for one in _chain(error) for kind in type(one).__mro__}


def _response(error: BaseException) -> dict[str, Any]:
    """What botocore keeps of the answer; {} of other errors."""
    answers = (getattr(one, "response", None) for one in _chain(error))
    return next((answer for answer in answers if isinstance(answer, dict)), {})


def _code(error: BaseException) -> str:
    return str(_response(error).get("Error", {}).get("Code", ""))


def _status(error: BaseException) -> int | None:
    """The HTTP status of an answer, None where there was none."""
    status = _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode")
    others = (getattr(one, name, None) for one in _chain(error) for name in ("status", "status_code", "code"))
    return next((number for number in (status, *others) if isinstance(number, int) and 100 <= number < 600), None)


def _said(error: BaseException) -> str:
    """The words of an error, on one line; of an answer of S3 its code and message, of one of Azure its message."""
    answer = _response(error).get("Error", {})
    words = f"{answer.get('Code', '')}: {answer.get('Message', '')}" if answer.get("Code") else str(error)
    text = " ".join(words.partition("RequestId:")[0].split()).removesuffix(": ") or type(error).__name__
    return text if len(text) <= 200 else f"{text[:199]}…"
