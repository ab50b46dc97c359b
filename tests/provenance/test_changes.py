"""Which recipes are the same with other options, and which are others."""

from __future__ import annotations

from typing import Any

import pytest

from augforge.provenance.changes import compare, described

CLIP, SHARP, NIGHT, RANDOM = (
    {"filter": "clip", "keep": 0.8},
    {"filter": "sharpness"},
    {"generate": "night", "per-class": 3},
    {"select": "random", "share": 0.5},
)


def plain(*stages: dict[str, Any], name: str = "recipe", seed: int = 1, source: Any = None) -> dict[str, Any]:
    return {"name": name, "seed": seed, "source": source or {"folder": "a"}, "stages": list(stages)}


@pytest.mark.parametrize(
    ("before", "now", "same", "changes"),
    [
        (plain(CLIP), plain(CLIP), True, []),
        (plain(CLIP), plain({**CLIP, "keep": 0.5}), True, ["filter clip: keep 0.8 -> 0.5"]),
        (plain(CLIP), plain({"filter": "clip", "flips": True}), True,
         ["filter clip: keep 0.8 -> none", "filter clip: flips none -> true"]),
        (plain(CLIP), plain(CLIP, seed=2), True, ["seed 1 -> 2"]),
        (plain(CLIP), plain(CLIP, source=[{"folder": "a"}, {"folder": "b"}]), True, ["source added: folder b"]),
        (plain(CLIP), plain(CLIP, source={"folder": "./a/../a"}), True, []),
        (plain(CLIP), plain(CLIP, source={"folder": "a", "split": "train"}), True, []),
        (plain(CLIP), plain(CLIP, RANDOM), True, ["stage added: select random"]),
        (plain(NIGHT, CLIP, RANDOM), plain(NIGHT, RANDOM), True, ["stage gone: filter clip"]),
        (plain(NIGHT, CLIP), plain(NIGHT, SHARP), False, ["stage gone: filter clip", "stage added: filter sharpness"]),
        (plain(NIGHT, name="filter"), plain(SHARP, name="other"), False, None),
        (plain(CLIP, SHARP), plain(SHARP, CLIP), False, None),
        (plain(CLIP, name="mine"), plain(SHARP, name="mine"), True, None),  # a name that was given to both
        (plain(CLIP), plain(SHARP), False, None),  # recipes without a name are not the same for that
        (plain(CLIP, name="mine"), plain(CLIP, name="mine", source={"folder": "b"}), True,
         ["source added: folder b", "source gone: folder a"]),
        (plain(CLIP, name="filter-clip"), plain(CLIP, name="filter-clip", source={"folder": "b"}), False, None),
        (plain(NIGHT, CLIP, name="generate-night"), plain(NIGHT, SHARP, name="generate-night"), False, None),
        (plain(CLIP), plain(CLIP, source={"sample": "a"}), False, ["source added: sample a", "source gone: folder a"]),
        (plain(CLIP, source={"hub": "x/y"}), plain(CLIP, source={"hub": "x/y"}), True, []),
    ],
)  # fmt: skip
def test_the_same_recipe_or_another(before, now, same, changes):
    found = compare(before, now)
    assert found.same == same
    assert changes is None or list(found.changes) == changes


def test_many_changes_are_told_in_short():
    now = {**CLIP, **{f"o{number}": number for number in range(9)}}
    assert compare(plain(CLIP), plain(now)).sentence().endswith("; … 3 more")


def test_a_recipe_in_a_few_words():
    assert described(plain(NIGHT, CLIP)) == "generate night, filter clip (source folder a)"
    assert described({}) == "no stage (source unknown)"
    assert not compare({"stages": 7, "source": "?"}, plain(CLIP)).same
