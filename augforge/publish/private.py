"""Keeping names of files and folders out of what is published: digests stay, names go."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from augforge.data.annotations import dump_annotations
from augforge.io import KINDS
from augforge.io.tree import SUFFIXES

PRIVATE = "private"
"""What stands where a name was."""


def hide_provenance(text: str) -> str:
    """Provenance (JSON) without `source`, of the sample or of its parents, and without the paths of models."""
    return json.dumps(_hidden(json.loads(text)), sort_keys=True, ensure_ascii=False)


def hide_recipe(plain: Any) -> Any:
    """A recipe as plain values without what its sources are called, and without any other path."""
    kept = {name: _hidden(value) for name, value in plain.items() if name not in ("source", "sources")}
    sources = plain.get("source", plain.get("sources"))
    hidden = [_hidden_source(s) for s in sources] if isinstance(sources, list) else _hidden_source(sources)
    return {name: hidden if name in ("source", "sources") else kept[name] for name in plain}


def hide_reason(text: str) -> str:
    """The reason of a drop without words that look like files."""
    return " ".join(PRIVATE if _is_file(word) else word for word in text.split(" "))


def hide_annotations(text: str) -> str:
    """Annotations (JSON) whose other columns and attributes have no texts that look like files, nor a model a path."""
    said = json.loads(text)
    if "captioned_by" in said:
        said["captioned_by"] = _hidden(said["captioned_by"])
    for holder, name in [(said, "extra"), *((box, "attributes") for box in said.get("boxes") or ())]:
        if name in holder:
            holder[name] = _without_files(holder[name])
    return dump_annotations(said)


def _without_files(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: inner if name == "type" else _without_files(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_files(inner) for inner in value]
    return PRIVATE if isinstance(value, str) and (is_path(value) or _is_file(value)) else value


def _hidden_source(source: Any) -> Any:
    if not isinstance(source, dict):
        return PRIVATE
    return {name: PRIVATE if name in KINDS or name == "masks" else value for name, value in source.items()}


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _hidden(inner) for name, inner in value.items() if name != "source"}
    if isinstance(value, list):
        return [_hidden(inner) for inner in value]
    return PRIVATE if isinstance(value, str) and is_path(value) else value


@lru_cache(4096)
def is_path(text: str) -> bool:
    """Whether a text may name a place on this machine. Strict: whatever has a slash does, but for the hub's names."""
    if text.startswith("hub:") or not text:
        return False
    if "/" in text or "\\" in text or text.startswith("~"):
        return True
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False


def _is_file(word: str) -> bool:
    plain = re.sub(r"^\W+|\W+$", "", word)
    return "/" in word or "\\" in word or (plain.rpartition(".")[2].lower() in SUFFIXES and "." in plain)
