"""`review.json` of a run folder: which decisions of people its stages applied, and those that they could not apply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from augforge.data.files import write_atomically
from augforge.errors import StoreError

NAME = "review.json"

Reviewed = Mapping[str, Any]
"""What one stage did with a review file.

`file` as the recipe names it and its `digest` ("" where there was none); how many images were `kept` although a filter
had dropped them, `dropped` and `relabelled`; by id, `overruled` has the `stage` and `reason` of each that was kept so,
and `labels` what the label of each relabelled one `was` and `is`; ids of which the run has no image (`gone`), or one
with other bytes (`changed`), of images that could not be kept as they cannot be read (`unreadable`); `conflicts` as
lists of lines; and all `lines` of the file.
"""


def write_reviewed(folder: Path, reviewed: Mapping[str, Reviewed]) -> None:
    """Write what the stages did, by their titles; without anything there is no file."""
    if reviewed:
        write_atomically(folder / NAME, json.dumps(reviewed, indent=1, ensure_ascii=False).encode())
    else:
        (folder / NAME).unlink(missing_ok=True)


def read_reviewed(folder: Path) -> dict[str, Reviewed]:
    """What the stages of a run did, by their titles; {} where there is no file, StoreError where it is damaged."""
    path = folder / NAME
    if not path.is_file():
        return {}
    try:
        return {str(title): dict(did) for title, did in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} is damaged: {error}", "run the same command again") from error


def reviews_of(folder: Path, identity: str) -> list[dict[str, Any]]:
    """What people decided about one image, the earliest first: the keys of a line, and the `stage` that followed it.

    A relabel has `was`, the old label. What kept an image that a filter had dropped has `against`: the stage and why.
    """
    found = []
    for title, did in read_reviewed(folder).items():
        mine = [line for line in did.get("lines", ()) if line.get("id") == identity]
        was, against = did.get("labels", {}).get(identity, {}), did.get("overruled", {}).get(identity)
        for line in mine:
            more = {"was": was.get("was")} if line["verdict"] == "relabel" else {}
            more |= {"against": against} if against and line["verdict"] in ("keep", "relabel") else {}
            found.append({**line, "stage": title, **more})
    return found
