"""What the built-in models know: the names of the classes that they were trained on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
OBJECTS = (
    *("airplane", "airplanes", "plane", "automobile", "automobiles", "car", "bird", "cat", "deer", "dog", "frog"),
    *("horse", "ship", "truck"),
)
FLOWERS = ("daisy", "daisies", "dandelion", "dandelions", "rose", "roses", "sunflower", "sunflowers", "tulip", "tulips")

DIGIT_NAMES = frozenset(
    {
        *(
            name
            for number, word in enumerate(DIGITS)
            for name in (word, str(number), f"digit {word}", f"digit {number}")
        ),
        *(f"number {word}" for word in DIGITS),
    }
)
"""Every name of a digit in the prompts of the built-in models."""

BUILTIN = frozenset(
    {
        *DIGIT_NAMES,
        *OBJECTS,
        *FLOWERS,
        *(f"{name} flower" for name in ("daisy", "dandelion", "rose", "sunflower", "tulip")),
    }
)
"""Every name of a class in the prompts of `scripts/train_builtin_clip.py`."""


def named_classes(id2label: Mapping[str, str]) -> frozenset[str] | None:
    """Every name in a model's `id2label`, where a class may have several, with commas between; None if it is empty."""
    names = [name for several in id2label.values() for name in several.split(",")]
    return frozenset(_plain(name) for name in names) or None


def unknown_classes(classes: Iterable[str], known: Collection[str]) -> list[str]:
    """Those of `classes` that are not among the `known` names; capitals, underscores and spaces do not matter."""
    return [name for name in classes if _plain(name) not in known]


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())
