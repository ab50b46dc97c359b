"""One option is changed in the text of a recipe, and nothing else: whatever somebody wrote around it."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.errors import RecipeError
from augforge.recipe import load_recipe, parse_recipe
from augforge.recipe.edit import edited, read_version, save_option
from augforge.recipe.plain_yaml import read_yaml

TEXT = """# birds, second try
name:   birds    # spaces
seed: 0x10

source: {folder: "birds"}   # "quoted"
stages:
  - generate: shifts
    per-class: 2   # two
    fold: 1
  # the first cut
  - filter: sharpness
    keep:  0.80     # why not
    scope: 'all'
  - {filter: degenerate,   min: 1e-2, on: all}

  - filter:  degenerate
"""


def changes(before: str, after: str) -> list[str]:
    """The lines that differ, with the signs of a diff."""
    return [each for each in difflib.ndiff(before.split("\n"), after.split("\n")) if each[0] in "+-"]


@pytest.mark.parametrize(
    ("title", "option", "value", "expected"),
    [
        ("2-filter-sharpness", "keep", 0.7, ["-     keep:  0.80     # why not", "+     keep:  0.7     # why not"]),
        ("2-filter-sharpness", "min", 0.25, ["-     keep:  0.80     # why not", "+     min:  0.25     # why not"]),
        ("2-filter-sharpness", "keep", None, ["-     keep:  0.80     # why not"]),
        ("2-filter-sharpness", "scope", "class", ["-     scope: 'all'", "+     scope: class"]),
        (
            "3-filter-degenerate",
            "min",
            0.5,
            ["-   - {filter: degenerate,   min: 1e-2, on: all}", "+   - {filter: degenerate,   min: 0.5, on: all}"],
        ),
        (
            "3-filter-degenerate",
            "max",
            0.5,
            [
                "-   - {filter: degenerate,   min: 1e-2, on: all}",
                "+   - {filter: degenerate, max: 0.5,   min: 1e-2, on: all}",
            ],
        ),
        (
            "3-filter-degenerate",
            "min",
            None,
            ["-   - {filter: degenerate,   min: 1e-2, on: all}", "+   - {filter: degenerate, on: all}"],
        ),
        ("4-filter-degenerate", "min", 0.5, ["+     min: 0.5"]),
        ("1-generate-shifts", "per-class", 3, ["-     per-class: 2   # two", "+     per-class: 3   # two"]),
        ("4-filter-degenerate", "keep", None, []),
    ],
)
def test_only_what_was_asked_for_is_different(title, option, value, expected):
    after = edited(TEXT, title, option, value)
    assert [line for line in changes(TEXT, after) if not line.startswith("?")] == expected
    stage = read_yaml(after)["stages"][int(title[0]) - 1]
    assert stage.get(option) == value


def test_a_rule_takes_the_place_of_both_bounds():
    text = TEXT.replace("    keep:  0.80     # why not\n", "    min: 0.1\n    max: 0.9\n")
    after = edited(text, "2-filter-sharpness", "keep", 0.5)
    assert after == text.replace("    min: 0.1\n    max: 0.9\n", "    keep: 0.5\n")


@pytest.mark.parametrize(
    ("title", "option", "value", "message"),
    [
        ("2-filter-clip", "min", 0.5, "no stage 2-filter-clip"),
        ("2-filter-sharpness", "minn", 0.5, "no option 'minn'"),
        ("2-filter-sharpness", "keep", 1.5, "at most 1"),
        ("2-filter-sharpness", "keep", "much", "number"),
        ("2-filter-sharpness", "outliers", -1, "more than 0"),
        ("3-filter-degenerate", "max", 0.001, "min is over max"),
    ],
)
def test_what_is_not_valid_is_refused(title, option, value, message):
    with pytest.raises(RecipeError, match=message):
        edited(TEXT, title, option, value)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("    keep: &share 0.8\n    scope: all\n", "name or a tag"),
        ("    keep: !!float 0.8\n", "name or a tag"),
        ("    keep:\n      0.8\n", "several lines"),
    ],
)
def test_what_only_a_person_can_change_is_refused(written, message):
    text = TEXT.replace("    keep:  0.80     # why not\n    scope: 'all'\n", written)
    parse_recipe(text)
    with pytest.raises(RecipeError, match=message):
        edited(text, "2-filter-sharpness", "keep", 0.5)


def test_a_stage_that_others_repeat_is_refused():
    text = TEXT.replace("  - filter: sharpness\n", "  - &one\n    filter: sharpness\n") + "  - *one\n"
    with pytest.raises(RecipeError, match="alias"):
        edited(text, "2-filter-sharpness", "keep", 0.5)


def test_a_file_that_changed_since_is_left_alone(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(TEXT)
    _, version = read_version(path)
    path.write_text(TEXT + "# a thought\n")
    with pytest.raises(RecipeError, match="has changed since it was read"):
        save_option(path, "2-filter-sharpness", "keep", 0.5, version=version)
    assert path.read_text() == TEXT + "# a thought\n"


def test_a_saved_option_is_in_the_file_and_its_diff_is_told(tmp_path):
    real, path = tmp_path / "real.yaml", tmp_path / "r.yaml"
    real.write_bytes(TEXT.replace("\n", "\r\n").encode())
    path.symlink_to(real)
    _, version = read_version(path)
    told = save_option(path, "4-filter-degenerate", "min", 0.5, version=version)
    assert [line for line in told.split("\n") if line[:1] in "+-"][2:] == ["+    min: 0.5\r"]
    assert path.is_symlink() and load_recipe(path).stages[3].min == 0.5
    assert real.read_bytes().count(b"\r\n") == real.read_bytes().count(b"\n")
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(RecipeError, match="cannot be read"):
        read_version(Path(tmp_path / "none.yaml"))


COMMENTS = st.sampled_from(["", " # why", "   # 'quoted' & more: [x", "  "])
BETWEEN = st.sampled_from(["", "\n", "# a line\n", "\n    # further in\n"])


@st.composite
def recipes(draw) -> str:
    """A recipe as people write them: block or flow, any indentation, quotes, comments, orders and line ends."""
    quote = draw(st.sampled_from(["", "'", '"']))
    dash, inner = draw(st.sampled_from(["", "  ", "    "])), " " * draw(st.integers(1, 4))
    stages = []
    for _ in range(draw(st.integers(1, 3))):
        rule = draw(st.sampled_from(["keep", "min", "outliers", None]))
        pairs = [("filter", f"{quote}{draw(st.sampled_from(['sharpness', 'degenerate']))}{quote}")]
        pairs += [(rule, draw(st.sampled_from(["0.5", "5e-1", "0.50", "+.5"])))] if rule else []
        pairs += [("on", f"{quote}all{quote}")] if draw(st.booleans()) else []
        pairs = draw(st.permutations(pairs)) if draw(st.booleans()) else pairs
        colon = ":" + " " * draw(st.integers(1, 3))
        if draw(st.booleans()):
            stages.append(f"{dash}- {{{', '.join(f'{k}{colon}{v}' for k, v in pairs)}}}{draw(COMMENTS)}\n")
        else:
            lines = [f"{key}{colon}{value}{draw(COMMENTS)}\n" for key, value in pairs]
            stages.append(f"{dash}-{inner}" + f"{dash} {inner}".join(lines))
        stages.append(draw(BETWEEN))
    head = draw(st.sampled_from(["", "---\n", "\ufeff", "# first\n\n"]))
    first = f"{head}name: {quote}x{quote}{draw(COMMENTS)}\nsource: {{folder: x}}\n"
    text = f"{first}stages:{draw(COMMENTS)}\n{''.join(stages)}"
    text = text.rstrip("\n") if draw(st.booleans()) else text
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@settings(max_examples=150, deadline=None)
@given(recipes(), st.data())
def test_at_most_one_line_changes_and_the_recipe_says_what_was_asked_for(text, data):
    before = read_yaml(text)
    titles = parse_recipe(text).titles()
    number = data.draw(st.integers(0, len(titles) - 1))
    option, value = data.draw(st.sampled_from([("min", 0.25), ("keep", 0.75), ("outliers", 2.0), ("on", "real")]))
    after = edited(text, titles[number], option, value)
    old, new = text.split("\n"), after.split("\n")
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    same = [block for block in blocks if block[0] != "equal"]
    assert len(same) <= 1 and abs(len(new) - len(old)) <= 1
    assert all(last - first <= 1 and stop - start <= 2 for _, first, last, start, stop in same)
    rules = {"min", "keep", "outliers"}
    for place, stage in enumerate(before["stages"]):
        kept = {k: v for k, v in stage.items() if place != number or not (option in rules and k in rules)}
        assert read_yaml(after)["stages"][place] == ({**kept, option: value} if place == number else kept)
    if option not in {**before["stages"][number], **dict.fromkeys(rules)}:
        assert edited(after, titles[number], option, None) == text
