"""The card of an export: that of the run, with a header by which the Hugging Face hub finds the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from augforge.io.writing import About, Writer
from augforge.publish.about import RunFacts
from augforge.publish.card import card_text, header, plain

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
    hidden = " Names of source files are left out; digests stay." if private else ""
    shape = f" All images were made {about.shape}, as the stages of the recipe saw them." if about.shape else ""
    told = (
        "every row's `provenance` says where it came from. `export.json` has the size and SHA-256 of every file, "
        f"`croissant.json` the same for machines.{shape}{hidden}"
    )
    return card_text(top, facts.card, told, _licences(licence))


def _licences(licence: str) -> str:
    own = f"This data set is published under {plain(licence)}. " if licence else "No licence was stated. "
    return own + "The licences of the source images are those of their sources, which augforge cannot know."
