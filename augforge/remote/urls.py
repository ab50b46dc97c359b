"""Which texts are URLs of an object store, and which package speaks to each."""

from __future__ import annotations

import re
from functools import cache
from urllib.parse import unquote

from augforge.errors import RemoteError, did_you_mean
from augforge.optional import require

SCHEMES = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "hf": "",
    "memory": "",
}
"""The package of each scheme; "" where nothing beside augforge's own packages is needed."""
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)


def is_url(text: str) -> bool:
    """Whether a text is a URL, such as `s3://bucket/photos`, rather than a path; `file://` is one, too."""
    return _URL.match(text) is not None


def is_remote(text: str) -> bool:
    """Whether a text is a URL of something that is not on this machine's disk."""
    return scheme_of(text) not in ("", "file")


def scheme_of(url: str) -> str:
    """The scheme of a URL in lower case, such as "s3"; "" of a path."""
    found = _URL.match(url)
    return found[1].lower() if found else ""


def local_path(url: str) -> str:
    """The path that `file:///data/photos` names."""
    return unquote(url.partition("://")[2])


@cache
def _require(scheme: str) -> None:
    """RemoteError if the package that speaks to a scheme is not installed; looked up once."""
    if SCHEMES[scheme]:
        require(SCHEMES[scheme], who=f"{scheme}://", error=RemoteError)


def checked(url: str) -> str:
    """The URL in one form, without a slash at its end.

    Raises:
        RemoteError: its scheme is not read, or the package that speaks to it is not installed.
    """
    scheme, inside = scheme_of(url), url.partition("://")[2]
    if scheme in ("http", "https"):
        raise RemoteError(f"{url} is a web address, and nothing is downloaded", "download it first, and give the path")
    if scheme not in SCHEMES:
        raise RemoteError(f"{url}: nothing is read from {scheme}://", did_you_mean(scheme, [*SCHEMES, "file"]))
    _require(scheme)
    parts = [part for part in inside.split("/") if part]
    if not parts:
        raise RemoteError(f"{url} names no bucket", f"write {scheme}://BUCKET/FOLDER")
    return f"{scheme}://{'/'.join(parts)}"
