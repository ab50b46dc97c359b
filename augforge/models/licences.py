"""Licences of models: what a row or a model card states, and whether a policy allows it."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from augforge.models.hub import repository_of
from augforge.models.hub_rows import COMPANIONS, UNKNOWN
from augforge.models.table import MODELS, Model
from augforge.optional import installed

NOT_STATED = frozenset({"not stated", UNKNOWN})
FAMILIES = frozenset({"openrail"})
"""Names in a policy that stand for all licences with this word in their name; every other name is one licence."""


def licence_of(model: Model) -> str:
    """That of the row; of a model that is not of the table, that of its card where it is on this disk; or `UNKNOWN`."""
    if model.licence not in NOT_STATED:
        return model.licence
    return location_licence(model.location, model.revision)


def location_licence(location: str, revision: str | None = None) -> str:
    """The licence of what lies in a directory or on the hub, by our tables of models and companions, or by its card."""
    repository = repository_of(location) or location.removeprefix("hub:")
    if repository in COMPANIONS:
        return COMPANIONS[repository]
    if location.startswith("hub:") and (stated := _of_the_table(repository)):
        return stated
    card = _card(location, repository, revision)
    return card_licence(card.read_text(encoding="utf-8", errors="replace")) if card is not None else UNKNOWN


def _of_the_table(repository: str) -> str | None:
    """The licence that a row of the model table states of a repository on the hub; None where none does."""
    rows = (row for row in MODELS.values() if row.location.startswith("hub:") and row.licence not in NOT_STATED)
    return next((row.licence for row in rows if repository_of(row.location) == repository), None)


def card_licence(card: str) -> str:
    """The licence in the YAML at the top of a model card; `UNKNOWN` where there is none, or it cannot be read."""
    import yaml

    found = re.match(r"---\s*\n(.*?)\n---\s*(?:\n|$)", card, re.DOTALL)
    try:
        stated: Any = yaml.safe_load(found[1]) if found else None
    except yaml.YAMLError:
        return UNKNOWN
    if not isinstance(stated, dict):
        return UNKNOWN
    named = stated.get("license_name") if stated.get("license") in (None, "other") else stated["license"]
    return named if isinstance(named, str) and named else UNKNOWN


def is_allowed(licence: str, policy: Collection[str]) -> bool:
    """Whether a policy names this licence, or its family; capitals, spaces and hyphens do not matter.

    A name is the whole of a licence: "cc-by" does not allow "CC-BY-NC-4.0". What is unknown is never allowed.
    """
    if licence in NOT_STATED:
        return False
    words = _words(licence)
    return any(_words(name) == words or (name.casefold() in FAMILIES and name.casefold() in words) for name in policy)


def _words(name: str) -> list[str]:
    """A licence's name in words: "CreativeML Open RAIL++-M" and "creativeml-openrail-m" differ by the ++ alone."""
    words = re.findall(r"[\w.]+", name.casefold().replace("open rail", "openrail").replace("++", ""))
    return words[:-1] if words[-1:] in (["license"], ["licence"]) else words


def _card(location: str, repository: str, revision: str | None) -> Path | None:
    """The model card in a directory, beside a file, or in the local cache of the hub; None where there is none."""
    path = Path(location)
    if path.exists():
        card = (path if path.is_dir() else path.parent) / "README.md"
        return card if card.is_file() else None
    if not installed("huggingface_hub") or repository.count("/") != 1:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, "README.md", revision=revision)
    return Path(found) if isinstance(found, str) else None
