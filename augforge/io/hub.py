"""Datasets of the Hugging Face Hub: their Parquet files, downloaded once into the usual cache."""

from __future__ import annotations

import re
from pathlib import Path

from augforge.errors import SourceError
from augforge.io.parquet import Parquet
from augforge.io.table_rows import Wanted

CONVERTED = "refs/convert/parquet"
"""The branch on which the Hub keeps a Parquet copy of a dataset of another format."""


class Hub(Parquet):
    """`owner/name`, `owner/name@revision` or `owner/name/folder` on the Hub, read as `Parquet` is.

    Rows that name a file instead of holding an image are refused: a downloaded table does not look about this disk.
    """

    writer = None
    reads_paths = False
    format = "Hugging Face Hub, Parquet"

    def __init__(
        self,
        value: str,
        *,
        split: str | None = None,
        image: str | None = None,
        label: str | None = None,
        boxes: str | None = None,
    ) -> None:
        name, _, revision = value.partition("@")
        match = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:/(.+))?", name)
        if match is None or ".." in name.split("/"):
            raise SourceError(f"hub {value}: this is no name of a dataset", "write owner/name, or owner/name@revision")
        repository, inside = match[1], match[2] or ""
        folder = _download(repository, inside, revision or None)
        if revision == "" and not any((folder / inside).rglob("*.parquet")):
            folder = _download(repository, inside, CONVERTED)
        commit = f"@{folder.name[:12]}" if re.fullmatch(r"[0-9a-f]{40}", folder.name) else ""
        where = f"hub {name}{commit or ('@' + revision if revision else '')}"
        self._start(folder / inside, where, split, Wanted(image, label, boxes))


def _download(repository: str, inside: str, revision: str | None) -> Path:
    """The local folder of a revision, holding its Parquet files; SourceError if they cannot be had."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    pattern = f"{inside}/*.parquet" if inside else "*.parquet"
    try:
        found = snapshot_download(repository, repo_type="dataset", revision=revision, allow_patterns=pattern)
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise _not_had(repository, revision, error) from error
    return Path(str(found))


def _not_had(repository: str, revision: str | None, error: Exception) -> SourceError:
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    name = f"hub {repository}"
    if isinstance(error, GatedRepoError):
        return SourceError(f"{name}: its owner has to let you in", "ask on its page, then log in with `hf auth login`")
    if isinstance(error, RepositoryNotFoundError):
        return SourceError(
            f"{name}: there is no such dataset, or it is private", "check the name; `hf auth login` for private ones"
        )
    if isinstance(error, RevisionNotFoundError):
        missing = "Parquet files" if revision == CONVERTED else f"revision {revision!r}"
        return SourceError(f"{name}: it has no {missing}", "save it with `datasets` and give the folder")
    if constants.HF_HUB_OFFLINE:
        return SourceError(
            f"{name}: it is not in the local cache, and HF_HUB_OFFLINE forbids to download it",
            f"unset HF_HUB_OFFLINE, or first `hf download --repo-type dataset {repository}` where there is a network",
        )
    first = next(iter(str(error).splitlines()), "") or type(error).__name__
    return SourceError(f"{name}: it cannot be downloaded: {first}", "check the network, or give a local folder")
