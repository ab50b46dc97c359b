"""Prompts from class names: one template, or a seeded choice among many."""

from __future__ import annotations

from pathlib import Path

from augforge.data.ids import rng
from augforge.errors import RecipeError

USUAL = (
    "a photo of a {label}",
    "a photo of the {label}",
    "a photo of one {label}",
    "a close-up photo of a {label}",
    "a cropped photo of a {label}",
    "a photo of a small {label}",
    "a photo of a large {label}",
    "a bright photo of a {label}",
    "a dark photo of a {label}",
    "a sharp photo of a {label}",
    "a blurry photo of a {label}",
    "a photo of a {label} from above",
    "a photo of a {label} from the side",
    "a photo of a {label} in the distance",
    "a photo of a {label} outdoors",
    "a photo of a {label} indoors",
    "a black and white photo of a {label}",
    "a low resolution photo of a {label}",
    "a snapshot of a {label}",
    "a drawing of a {label}",
    "a painting of a {label}",
    "a rendering of a {label}",
)
"""Class-name templates of the kind used for zero-shot classification."""


def fill(template: str, label: str | None) -> str:
    """The prompt of a class: {label} replaced by its name, with underscores as spaces."""
    return template.replace("{label}", (label or "thing").replace("_", " "))


def choose(template: str, templates: str, label: str, seed: int) -> str:
    """The prompt of one image: from `template`, or from one of `templates` ("usual" or a file), chosen by the seed."""
    if not templates:
        return fill(template, label)
    known = read_templates(templates)
    return fill(known[int(rng(seed, "template").integers(len(known)))], label)


def read_templates(templates: str) -> tuple[str, ...]:
    """The templates of a file, one a line, or the usual ones; RecipeError where there are none."""
    if templates == "usual":
        return USUAL
    try:
        lines = Path(templates).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:  # text that is not UTF-8, or what is no name of a file
        raise RecipeError(
            f"the templates {templates} cannot be read: {error}", "give 'usual' or a text file"
        ) from error
    known = tuple(line.strip() for line in lines if "{label}" in line)
    if not known:
        raise RecipeError(f"no line of {templates} has {{label}} in it", "write one template a line")
    return known
