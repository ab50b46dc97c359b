"""The card of an export: that of the run, with a header by which the Hugging Face hub finds the files."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from augforge.data.splits import in_order
from augforge.io.writing import About, Writer, split_file_name
from augforge.publish.about import RunFacts
from augforge.publish.card import CardFacts, card_text, header, plain

if TYPE_CHECKING:
    from augforge.publish.export import Described

TASKS = {"boxes": "object-detection", "keypoints": "keypoint-detection", "caption": "image-to-text"}
"""What the hub calls the tasks that kinds of annotations are for."""


def export_card(to: str, about: About, writer: Writer, facts: RunFacts, described: Described, private: bool) -> str:
    """The card as Markdown; its header is one that `huggingface_hub.DatasetCardData` and `datasets` read."""
    licence = described.licence
    named = {"license": licence} if licence and ":" not in licence else {"license": "other"}
    if ":" in licence:
        named |= {"license_name": "see-link", "license_link": licence}
    top = {**named, **header(facts.card), **writer.card()}
    top["task_categories"] = [
        *top["task_categories"],
        *(task for kind, task in TASKS.items() if kind in about.annotations),
    ]
    card, unsplit = _as_filed(facts.card)
    hidden = " Names of source files are left out; digests stay." if private else ""
    shape = f" All images were made {about.shape}, as the stages of the recipe saw them." if about.shape else ""
    told = (
        "every row's `provenance` says where it came from. `export.json` has the size and SHA-256 of every file, "
        f"`croissant.json` the same for machines.{shape}{hidden}"
    )
    return card_text(top, card, told + unsplit, _licences(licence))


def _as_filed(card: CardFacts) -> tuple[CardFacts, str]:
    """The card with images without a split counted where their files lie, and a sentence on them, if there are any."""
    splits = {split: Counter(counts) for split, counts in card.splits.items()}
    without = splits.pop("", None)
    if without is None:
        return card, ""
    filed = split_file_name(None)
    splits[filed] = splits.get(filed, Counter()) + without
    count = without.total()
    of_them = "1 image that has" if count == 1 else f"{count:,} images that have"
    said = f" The split `{filed}` holds {of_them} no split in the run."
    return replace(card, splits={split: splits[split] for split in in_order(splits)}), said


def _licences(licence: str) -> str:
    own = f"This data set is published under {plain(licence)}. " if licence else "No licence was stated. "
    return own + "The licences of the source images are those of their sources, which augforge cannot know."
