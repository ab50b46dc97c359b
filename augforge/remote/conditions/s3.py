"""S3, through s3fs: `If-None-Match: *`, and `If-Match` with an ETag."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from augforge.remote.conditions.protocol import AT_ONCE, PIECE, Seen
from augforge.remote.faults import is_refused_condition


class S3:
    """The objects of a bucket."""

    writing: Mapping[str, Any] = {"chunksize": PIECE, "max_concurrency": AT_ONCE}

    def __init__(self, fs: Any, bucket: str) -> None:
        self._fs, self._bucket = fs, bucket

    def look(self, key: str) -> Seen:
        """An object as it is now."""
        from fsspec.asyn import sync

        answer = self._call("get_object", key)
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        written: datetime = answer["LastModified"]
        content = bytes(sync(self._fs.loop, answer["Body"].read))
        return Seen(content, answer["ETag"], (now - written).total_seconds())

    def put(self, key: str, content: bytes, over: str | None) -> str | None:
        """Write an object on a condition."""
        condition = {"IfNoneMatch": "*"} if over is None else {"IfMatch": over}
        try:
            return str(self._call("put_object", key, Body=content, **condition)["ETag"])
        except FileNotFoundError:
            if over is None:
                raise  # there is no such bucket
            return None
        except Exception as error:
            if is_refused_condition(error):
                return None
            raise

    def remove(self, key: str) -> None:
        """Remove an object, if it is there."""
        self._call("delete_object", key)

    def _call(self, method: str, key: str, **given: Any) -> Any:
        return self._fs.call_s3(method, Bucket=self._bucket, Key=key, **given)
