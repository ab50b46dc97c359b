"""From a request to what a handler takes, and from what it returns to an answer; everything refused is JSON."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from augforge.errors import AugforgeError, BadImage
from augforge.view.guard import LARGEST
from augforge.view.refusals import Refusal, bad_request

if TYPE_CHECKING:
    from augforge.view.opened import OpenRun
    from augforge.view.server import Served

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: about which run, the parts of its path, what stands behind `?`, and its body."""

    served: Served
    run: OpenRun
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes = b""

    def now(self) -> OpenRun:
        """The run as it is on the disk now. StoreError if it cannot be opened any more."""
        if self.run is self.served.run:
            self.served.reopen()
            return self.served.run
        return self.run

    def json(self) -> dict[str, Any]:
        """The body, a JSON object.

        Raises:
            Refusal: it is none.
        """
        try:
            found = json.loads(self.body or b"{}")
        except (ValueError, RecursionError):
            raise bad_request("the body is no JSON") from None
        if not isinstance(found, dict):
            raise bad_request("the body is no JSON object")
        return found

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number from what stands behind `?`.

        Raises:
            Refusal: it is none, or is out of bounds.
        """
        text = self.query.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdecimal() or not least <= int(text[:12]) <= most or len(text) > 12:
            raise bad_request(f"{name}: give a whole number from {least:,} to {most:,}")
        return int(text)

    def text(self, name: str) -> str:
        """A text from what stands behind `?`.

        Raises:
            Refusal: it is not there.
        """
        if name not in self.query:
            raise bad_request(f"{name} is missing")
        return self.query[name]


Handler = Callable[[Asked], Any]


def answering(served: Served, handler: Handler, second: bool = False) -> Endpoint:
    """The endpoint that asks `handler`, in a thread; of the `second` run if there is one."""

    async def endpoint(request: Request) -> Response:
        try:
            body = await _body(request)
            return await run_in_threadpool(_answered, served, handler, second, request, body)
        except AugforgeError as error:
            return refused(error)

    return endpoint


def _answered(served: Served, handler: Handler, second: bool, request: Request, body: bytes) -> Response:
    run = served.second if second else served.run
    found = handler(Asked(served, run, request.path_params, request.query_params, body))
    return found if isinstance(found, Response) else JSONResponse(found)


async def _body(request: Request) -> bytes:
    """The whole body, which need not say beforehand how long it is."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST:
            raise Refusal(413, "too-large", f"a request has at most {LARGEST:,} bytes")
        parts.append(part)
    return b"".join(parts)


def refused(error: AugforgeError) -> Response:
    """An error as the page takes it."""
    status, kind = 422, "augforge"
    if isinstance(error, Refusal):
        status, kind = error.status, error.kind
    elif isinstance(error, BadImage):
        status, kind = 404, "not-found"
    return JSONResponse({"error": error.message, "hint": error.hint, "kind": kind}, status)


def binary(array: NDArray[Any]) -> Response:
    """Numbers as they lie in memory, little-endian, with their shape and type in the headers."""
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    headers = {"X-Shape": ",".join(map(str, array.shape)), "X-Dtype": array.dtype.name}
    return Response(plain.tobytes(), media_type="application/octet-stream", headers=headers)
