"""Push a run to the Hugging Face Hub: its export in Parquet, uploaded as a dataset repository with its card."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from augforge.errors import AugforgeError, RecipeError, StoreError
from augforge.io.writing import WORK
from augforge.publish.export import Exported, export

NAMES = ("hub", "push_to_hub")
"""What the format is called where an export goes to the Hub."""
REPOSITORY = re.compile(r"(?:hub:)?([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)")
OLD_DATA = "data/*.parquet"
"""Files of an earlier push, which go when they are not written again."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was pushed: the address of the repository, its commit, whether it is private, and the export itself."""

    url: str
    commit: str
    private: bool
    exported: Exported


def push(folder: Path, repo: str, out: Path, *, public: bool = False, **options: Any) -> Pushed:
    """Export the run in `folder` to `out` in Parquet, and upload that as the dataset repository `repo`.

    Everything that can be known of the Hub is asked before anything is written. A repository that is not there yet is
    made, private unless `public`; one that is there and public is only written to with `public`.

    Args:
        folder: a run folder.
        repo: `owner/name`.
        out: the folder of the export, as for `export`; what is there already is not written again.
        public: everybody may see it.
        options: those of `augforge.publish.export.export`.

    Raises:
        RecipeError: `repo` is no name of a repository.
        StoreError: the Hub cannot be reached, there is no token, or the Hub refuses; or as `export`.
    """
    from huggingface_hub import HfApi

    name = repository(repo)
    _check_online()
    api = HfApi(library_name="augforge")
    with _explained(name):
        private = _is_private(api, name, public)
    exported = export(folder, "parquet", out, **options)
    message = f"{exported.rows:,} images: {exported.real:,} real, {exported.synthetic:,} synthetic"
    with _explained(name):
        url = api.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
        commit = api.upload_folder(
            repo_id=name, repo_type="dataset", folder_path=out, commit_message=message,
            ignore_patterns=f"{WORK}/*", delete_patterns=OLD_DATA,
        )  # fmt: skip
    return Pushed(str(url), str(commit.oid), private, exported)


def exported_or_pushed(
    folder: Path, to: str, out: Path, repo: str, public: bool, **options: Any
) -> tuple[Exported, Pushed | None]:
    """What `augforge export` does: push where `to` is the Hub, else export; RecipeError if they do not go together."""
    if to in NAMES and options.get("dry_run"):
        return export(folder, "parquet", out, **options), None
    if to in NAMES:
        pushed = push(folder, repo, out, public=public, **options)
        return pushed.exported, pushed
    if repo or public:
        raise RecipeError(f"--repo and --public are for the Hub, not for --to {to}", "give --to hub, or leave them out")
    return export(folder, to, out, **options), None


def repository(text: str) -> str:
    """`owner/name` out of what a user wrote; RecipeError if it is none."""
    found = REPOSITORY.fullmatch(text)
    if found is None or len(text) > 100 or ".." in text or "--" in text:
        told = f"{text!r} is no name of a repository" if text else "the repository is not named"
        raise RecipeError(told, "give it as OWNER/NAME, with --repo")
    return found[1]


def _check_online() -> None:
    """StoreError at once where the Hub must not be asked, or would not know who asks."""
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise StoreError(
            "HF_HUB_OFFLINE forbids to push to the Hub", "unset it; or export --to parquet, and upload the folder later"
        )
    if get_token() is None:
        raise StoreError("there is no token for the Hub", "log in with `hf auth login`, or set HF_TOKEN")


def _is_private(api: Any, name: str, public: bool) -> bool:
    """Whether the repository is or will be private. RecipeError if it is public, and that was not asked for."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        private = bool(api.repo_info(name, repo_type="dataset").private)
    except RepositoryNotFoundError:
        api.whoami()  # a wrong token is told here, not after the export
        return not public
    if not private and not public:
        raise RecipeError(f"{name} is public on the Hub", "to publish the images in it, add --public")
    return private


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """What the Hub or the network refuses as an error that a user can fix."""
    from huggingface_hub import errors

    try:
        yield
    except AugforgeError:
        raise
    except errors.HfHubHTTPError as error:
        first = next(iter(str(error.server_message or error).splitlines()), "")
        raise StoreError(
            f"the Hub refuses to write {name}: {first}",
            "the token needs the right to write: https://hf.co/settings/tokens",
        ) from error
    except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]  # of the library that it speaks by
        first = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise StoreError(
            f"the Hub cannot be reached: {first}", "run the same command again to go on; or export --to parquet"
        ) from error
