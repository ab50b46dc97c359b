"""Google Cloud Storage, through gcsfs: preconditions on the generation, a number that every write of an object changes.

`ifGenerationMatch=0` writes what is not there yet. The requests are those of the JSON API, which gcsfs sends as they
are; its own `pipe_file(mode="create")` knows the first condition only, and does not tell the generation. It also tries
some faults again by itself: a write that is repeated because its answer was lost meets its own generation, and looks
refused. Who writes has to know its own content, as a lease does.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from augforge.remote.conditions.protocol import PIECE, Seen

NONE_YET = "0"
"""The generation of an object that is not there."""


class Google:
    """The objects of a bucket."""

    writing: Mapping[str, Any] = {"chunksize": PIECE}

    def __init__(self, fs: Any, bucket: str) -> None:
        self._fs, self._bucket = fs, bucket

    def look(self, key: str) -> Seen:
        """An object as it is now: what is known of it, and then the bytes of just that generation."""
        while True:
            headers, answer = self._call("GET", key)
            facts = json.loads(answer)
            try:
                _, content = self._call("GET", key, alt="media", generation=facts["generation"])
            except FileNotFoundError:
                continue  # it was written between the two requests, or is gone, which the first one tells
            age = parsedate_to_datetime(headers["Date"]) - datetime.fromisoformat(facts["timeCreated"])
            return Seen(bytes(content), str(facts["generation"]), age.total_seconds())

    def put(self, key: str, content: bytes, over: str | None) -> str | None:
        """Write an object on a condition."""
        base = self._fs.base.removesuffix("storage/v1/")
        place = f"{base}upload/storage/v1/b/{quote(self._bucket, safe='')}/o"
        given = {"uploadType": "multipart", "ifGenerationMatch": NONE_YET if over is None else over}
        kind, data = _with_name(key, content)
        try:
            answer = self._fs.call("POST", place, headers={"Content-Type": kind}, data=data, json_out=True, **given)
        except FileExistsError:  # how gcsfs calls the answer 412
            return None
        except FileNotFoundError:
            if over is None:
                raise  # there is no such bucket
            return None
        return str(answer["generation"])

    def remove(self, key: str) -> None:
        """Remove an object, if it is there."""
        with suppress(FileNotFoundError):
            self._call("DELETE", key)

    def _call(self, method: str, key: str, **given: Any) -> Any:
        return self._fs.call(method, "b/{}/o/{}", self._bucket, key, **given)


def _with_name(key: str, content: bytes) -> tuple[str, bytes]:
    """The name and the content of an object in the two parts of one upload: its media type, and its bytes."""
    boundary = secrets.token_hex(16)
    parts = [
        ("application/json; charset=UTF-8", json.dumps({"name": key}).encode()),
        ("application/octet-stream", content),
    ]
    body = b"".join(f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode() + part + b"\r\n" for kind, part in parts)
    return f'multipart/related; boundary="{boundary}"', body + f"--{boundary}--\r\n".encode()
