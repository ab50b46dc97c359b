"""Azure Blob Storage, through the client of adlfs: `If-None-Match: *`, and `If-Match` with an ETag.

What is there already is answered with 409 (`BlobAlreadyExists`), what has changed with 412.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from augforge.remote.conditions.protocol import AT_ONCE, Seen

REFUSED = frozenset({"BlobAlreadyExists", "ConditionNotMet"})
ONCE = {"retry_total": 0}
"""Nothing is tried again by the client, so that the one who waits decides for how long."""


class Azure:
    """The objects of a container."""

    writing: Mapping[str, Any] = {"max_concurrency": AT_ONCE}

    def __init__(self, fs: Any, bucket: str) -> None:
        self._fs, self._bucket = fs, bucket

    def look(self, key: str) -> Seen:
        """An object as it is now."""
        dates: list[datetime] = []

        def note(answer: Any) -> None:
            dates.append(parsedate_to_datetime(answer.http_response.headers["Date"]))

        async def get(blob: Any) -> Seen:
            stream = await blob.download_blob(raw_response_hook=note, **ONCE)
            content, facts = await stream.readall(), stream.properties
            return Seen(bytes(content), str(facts.etag), (dates[0] - facts.last_modified).total_seconds())

        found: Seen = self._with(key, get)
        return found

    def put(self, key: str, content: bytes, over: str | None) -> str | None:
        """Write an object on a condition."""
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError

        still = {} if over is None else {"etag": over, "match_condition": MatchConditions.IfNotModified}

        async def write(blob: Any) -> str:
            answer = await blob.upload_blob(content, overwrite=over is not None, **still, **ONCE)
            return str(answer["etag"])

        try:
            return str(self._with(key, write))
        except FileNotFoundError:
            if over is None:
                raise  # there is no such container
            return None
        except HttpResponseError as error:
            if _code(error) in REFUSED:
                return None
            raise

    def remove(self, key: str) -> None:
        """Remove an object, if it is there."""

        async def delete(blob: Any) -> None:
            await blob.delete_blob(**ONCE)

        try:
            self._with(key, delete)
        except FileNotFoundError:
            return

    def _with(self, key: str, call: Callable[[Any], Awaitable[Any]]) -> Any:
        """What `call` returns for the client of a blob; FileNotFoundError where there is no such blob or container."""
        from azure.core.exceptions import ResourceNotFoundError
        from fsspec.asyn import sync

        async def within() -> Any:
            async with self._fs.service_client.get_blob_client(container=self._bucket, blob=key) as blob:
                return await call(blob)

        try:
            return sync(self._fs.loop, within)
        except ResourceNotFoundError as error:
            raise FileNotFoundError(2, "no such object", f"{self._bucket}/{key}") from error


def _code(error: Any) -> str:
    """The code of an answer of the store, such as "ConditionNotMet"."""
    code = getattr(error, "error_code", "")
    return str(getattr(code, "value", code) or "")
