"""Prompts from class names: one template, or a seeded choice among many, perhaps with the caption of an image."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augforge.data.ids import rng
from augforge.errors import RecipeError, did_you_mean

if TYPE_CHECKING:
    from augforge.data.pool import Pool
    from augforge.data.sample import Sample

CAPTION = "{caption}"
"""What stands for the caption of an image in a template."""
FIELD = re.compile(r"{([a-z][a-z0-9_-]*)}")
"""What stands for something in a template."""
KNOWN = frozenset({"label", "caption"})
"""What can be filled in without a stage that lists it."""
NAMED = 5
"""How many images without a caption are named."""
EVERY = ""
"""The key of a file of templates by class under which those of all other classes stand."""

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
    """The prompt of one image: from `template`, or from one of `templates` ("usual" or a file), chosen by the seed.

    Raises:
        RecipeError: the templates are by class, and have none for this one.
    """
    if not templates:
        return fill(template, label)
    by_class = read_templates(templates)
    known = by_class.get(label) or by_class.get(EVERY)
    if not known:
        raise RecipeError(f"{templates} has no templates for {label!r}", did_you_mean(label, list(by_class)))
    return fill(known[int(rng(seed, "template").integers(len(known)))], label)


def asked_for(template: str, templates: str) -> set[str]:
    """What stands in braces in the prompts of a stage."""
    known = [template] if not templates else [each for some in read_templates(templates).values() for each in some]
    return {name for each in known for name in re.findall("{(.*?)}", each)}


def with_words(prompt: str, words: Mapping[str, Mapping[str, Sequence[str]]], label: str, seed: int) -> str:
    """The prompt with an entry of the list of each attribute that it asks for, of the class, chosen by the seed.

    `words` has the lists by attribute and class.

    Raises:
        RecipeError: there is no list of this class.
    """
    for name in sorted(set(FIELD.findall(prompt)) & words.keys()):
        known = words[name].get(label)
        if not known:
            problem = f"there is no {name} of {label!r} for its prompts"
            raise RecipeError(problem, did_you_mean(label, list(words[name])))
        prompt = prompt.replace(f"{{{name}}}", known[int(rng(seed, f"words-{name}").integers(len(known)))])
    return prompt


def with_captions(pool: Pool, who: str) -> Pool:
    """The images of a pool that have a caption; RecipeError where there are images, and none has one."""
    from augforge.data.pool import captioned

    found = captioned(pool)
    if len(pool) and not len(found):
        label = pool.samples[0].label
        raise RecipeError(f"{who}: its prompt asks for a {CAPTION}, and no image of {label!r} has one", NO_CAPTION)
    return found


def captioned_of(samples: Sequence[Sample], who: str) -> tuple[list[Sample], str]:
    """The images that have a caption, and what is to be said of the others; RecipeError where a class has none."""
    found = [sample for sample in samples if sample.annotations.get("caption")]
    without = {str(sample.label) for sample in samples} - {str(sample.label) for sample in found}
    if without:
        raise RecipeError(
            f"{who}: its prompt asks for a {CAPTION}, and no image of {min(without)!r} has one", NO_CAPTION
        )
    others = [sample for sample in samples if not sample.annotations.get("caption")]
    return found, _left_out(others, len(samples), who) if others else ""


def _left_out(others: Sequence[Sample], total: int, who: str) -> str:
    named = ", ".join(sample.source or sample.id for sample in others[:NAMED])
    more = f" and {len(others) - NAMED:,} more" if len(others) > NAMED else ""
    return f"{who}: {len(others):,} of {total:,} images have no caption and are left out: {named}{more}"


def words_of(sample: Sample) -> str:
    """The caption of an image as it stands in a prompt: without its full stop, which would end the prompt."""
    return str(sample.annotations["caption"]).rstrip(" .")


def in_context(prompt: str, donor: Sample | None, who: str) -> dict[str, str]:
    """The prompt with the caption of `donor` in it, and whose it is, as sampled parameters; RecipeError without one."""
    if donor is None:
        raise RecipeError(f"{who}: its prompt asks for a {CAPTION}, and no other image has one", NO_CAPTION)
    return {"prompt": prompt.replace(CAPTION, words_of(donor)), "context": donor.id}


NO_CAPTION = "put `caption: vlm` before it, or give the captions in the source"


def read_templates(templates: str) -> dict[str, tuple[str, ...]]:
    """The templates of a file, or the usual ones: by class, or under "" those of all classes.

    A file is text, a template with {label} a line, or JSON: a list of templates for each class.

    Raises:
        RecipeError: there are none, or the file cannot be read.
    """
    if templates == "usual":
        return {EVERY: USUAL}
    try:
        return _read(Path(templates), Path(templates).stat().st_mtime_ns)
    except (OSError, ValueError) as error:  # text that is not UTF-8, or what is no name of a file
        raise RecipeError(
            f"the templates {templates} cannot be read: {error}", "give 'usual', a text file or JSON"
        ) from error


def templates_file(stage: Any) -> str | None:
    """The file of templates that a stage names, None where it names none."""
    named = getattr(stage, "templates", "")
    return None if named in ("", "usual") else str(named)


@lru_cache(16)
def _read(path: Path, changed: int) -> dict[str, tuple[str, ...]]:
    """Read again only when the file's time has changed."""
    text = path.read_text(encoding="utf-8")
    if path.suffix.lower() == ".json":
        return _by_class(json.loads(text), path)
    known = tuple(line.strip() for line in text.splitlines() if "{label}" in line)
    if not known:
        raise RecipeError(f"no line of {path} has {{label}} in it", "write one template a line")
    return {EVERY: known}


def _by_class(given: Any, path: Path) -> dict[str, tuple[str, ...]]:
    """The lists of a JSON file; RecipeError where it is something else."""
    lists = given if isinstance(given, dict) else {}
    if not lists or not all(_are_texts(some) for some in lists.values()):
        raise RecipeError(f"{path} has no list of templates for each class", 'write {"class": ["template", ...], ...}')
    return {str(label): tuple(some) for label, some in lists.items()}


def _are_texts(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(isinstance(each, str) for each in given)
