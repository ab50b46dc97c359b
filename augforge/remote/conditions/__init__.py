"""Writing an object on the condition that nobody else has: what a lease rests on, in one file for each store.

S3 has it as `If-None-Match` and `If-Match` on ETags, Google's storage as preconditions on generations, Azure as the
same headers as S3 with answers of its own. A scheme that is missing here has none that are known, and takes no run.
"""

from __future__ import annotations

from typing import Any

from augforge.remote.conditions.azure import Azure
from augforge.remote.conditions.google import Google
from augforge.remote.conditions.protocol import Conditions
from augforge.remote.conditions.s3 import S3

KINDS: dict[str, type[S3 | Google | Azure]] = {
    "s3": S3,
    "gs": Google,
    "gcs": Google,
    "az": Azure,
    "abfs": Azure,
    "abfss": Azure,
}
"""The schemes whose conditions are known."""


def conditions_of(scheme: str, fs: Any, bucket: str) -> Conditions:
    """The conditions of a bucket, which the file system of fsspec for its scheme speaks to."""
    return KINDS[scheme](fs, bucket)
