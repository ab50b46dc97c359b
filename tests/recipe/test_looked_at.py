"""Which images a filter or selector looks at by default, and that it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from augforge.data.ledger import Ledger
from augforge.data.sample import Sample
from augforge.engine.plan import plan_run
from augforge.engine.run import run
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec, build_stage, parse_recipe
from augforge.recipe.looked_at import looked_at, on_of, said, settled
from augforge.stages.captioner import Captioner
from augforge.stages.catalog import STAGES, stage_class
from augforge.stages.filter import Filter
from augforge.stages.filters.duplicates import Duplicates
from augforge.stages.selector import Selector
from tests.conftest import write_images

DEFAULTS = {
    **dict.fromkeys(("clip", "margin", "prototype", "outlier", "classifier", "quality", "sharpness"), "auto"),
    **dict.fromkeys(("musc", "efficientad", "pre-screen"), "auto"),
    **dict.fromkeys(("marginal", "preference", "aesthetic", "watermark", "text", "similar-to"), "auto"),
    "memorised": "synthetic",  # real images are what it compares with
    "weight-classifier": "synthetic",  # it weighs the children of one image against each other
    "filter vlm": "auto",
    "caption vlm": "real",  # generated images have the prompts that they were made from
    "semantic-loss": "synthetic",  # it compares with parents
    "noisy-labels": "real",  # what was generated for a class was labelled by nobody
    **dict.fromkeys(("degenerate", "safety", "duplicates"), "all"),  # what is wrong whoever made it
    **dict.fromkeys(("label-preserved", "weight-unicon", "edges"), "synthetic"),  # what only generated images have
    **dict.fromkeys(("facility-location", "k-center", "diverse-anchors", "max-loss", "hardness", "random"), "auto"),
    **dict.fromkeys(("gradient-matching",), "auto"),
    "balanced": "all",  # equal numbers of synthetic images alone balance nothing
}
LOOKING = [name for name in STAGES if "on" in stage_class(*name).model_fields]


@pytest.mark.parametrize("verb_and_name", LOOKING, ids="-".join)
def test_every_default_is_the_one_that_was_thought_through(verb_and_name: tuple[str, str]) -> None:
    default = DEFAULTS.get(" ".join(verb_and_name)) or DEFAULTS[verb_and_name[1]]
    assert stage_class(*verb_and_name).model_fields["on"].default == default


@pytest.mark.parametrize("verb_and_name", LOOKING, ids="-".join)
def test_no_default_is_a_share_of_the_images(verb_and_name: tuple[str, str]) -> None:
    cls = stage_class(*verb_and_name)
    if issubclass(cls, Filter):
        assert cls.default_rule.get("keep", 1.0) == 1.0
    elif issubclass(cls, Selector):
        assert cls.model_fields["share"].default is None and cls.model_fields["count"].default is None
    else:
        assert issubclass(cls, (Duplicates, Captioner))


SHARP, RANDOM = build_stage("filter", "sharpness", {"keep": 0.5}), build_stage("select", "random", {"share": 0.5})
GENERATE = build_stage("generate", "augmented-conditioning", {"per-class": 1})


def test_auto_is_the_synthetic_images_where_a_run_has_or_makes_any() -> None:
    def found(stages: list, synthetic: bool) -> list:
        return [getattr(stage, "on", None) for stage in settled(stages, synthetic)]

    assert found([SHARP, GENERATE, SHARP, RANDOM], False) == ["all", None, "synthetic", "synthetic"]
    assert found([SHARP, RANDOM], True) == ["synthetic", "synthetic"]
    given = build_stage("filter", "sharpness", {"on": "real", "keep": 0.5})
    assert found([given], True) == ["real"] and found([given], False) == ["real"]
    by_column = build_stage("select", "max-loss", {"logits": "logits", "share": 0.5})
    assert on_of(by_column, True) == "real" and on_of(by_column, False) == "all"


def test_a_stage_that_was_not_settled_looks_at_the_same(tmp_path: Path) -> None:
    ledger = Ledger(["a"])
    ledger.extend([Sample(id="r", label="a"), Sample(id="s", label="a", origin="synthetic", kept=False, dropped="x")])
    assert looked_at(SHARP, ledger).tolist() == []  # synthetic ones were there, and went
    assert looked_at(SHARP.model_copy(update={"on": "all"}), ledger).tolist() == [0]


def test_what_is_said() -> None:
    ledger = Ledger(["a"])
    ledger.extend([Sample(id=f"r{n}", label="a") for n in range(3)])
    assert said("1-filter-x", *settled([SHARP], False), ledger) == (
        "1-filter-x: no synthetic images: all 3 real images are judged"
    )
    ledger.extend([Sample(id=f"s{n}", label="a", origin="synthetic") for n in range(2)])
    assert said("1-select-x", *settled([RANDOM], True), ledger) == (
        "1-select-x: 2 synthetic images are chosen from; 3 real ones are left alone (give `on: all` to include them)"
    )


class Said(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def about(self, text: str) -> None:
        self.lines.append(text)


def test_a_run_without_synthetic_images_says_so_first(tmp_path: Path) -> None:
    folder, heard = write_images(tmp_path / "s", {"cat": 6, "dog": 4}), Said()
    recipe = Recipe("r", 0, (SourceSpec("folder", str(folder)),), (SHARP,))
    done = run(recipe, tmp_path / "out", progress=heard)
    assert heard.lines[0] == "1-filter-sharpness: no synthetic images: all 10 real images are judged" and done.kept == 5
    assert "'on': auto" in (tmp_path / "out" / "recipe.yaml").read_text()


def test_with_synthetic_images_the_real_ones_are_left_alone(tmp_path: Path) -> None:
    """A run as the source: its synthetic images are judged, by a run of its own as in the plan."""
    from tests.engine.test_masks import Mirror

    folder = write_images(tmp_path / "s", {"cat": 6, "dog": 4})
    made = Recipe("r", 0, (SourceSpec("folder", str(folder)),), (Mirror(per_class=4, batch=4),))
    run(made, tmp_path / "made")
    heard = Said()
    recipe = Recipe("f", 0, (SourceSpec("run", str(tmp_path / "made")),), (SHARP, RANDOM))
    done = run(recipe, tmp_path / "out", progress=heard)
    assert done.kept == 10 + 2 and "1-filter-sharpness: 8 synthetic images are judged" in heard.lines[0]
    assert [row.rows_out for row in plan_run(recipe, tmp_path / "out")] == [18, 14, 12]
    every = Recipe("f", 0, recipe.sources, (SHARP.model_copy(update={"on": "all"}),))
    assert run(every, tmp_path / "all").kept == 9


def test_a_generator_that_makes_nothing_turns_no_filter_on_the_real_images(tmp_path: Path) -> None:
    from tests.engine.test_masks import Mirror

    folder = write_images(tmp_path / "s", {"cat": 4, "dog": 4})
    recipe = Recipe("r", 0, (SourceSpec("folder", str(folder)),), (Mirror(balance_to="max", batch=4), SHARP))
    assert run(recipe, tmp_path / "out").kept == 8


def text(*stages: str) -> str:
    lines = "".join(f"  - {{{stage}}}\n" for stage in stages)
    return f"source: {{sample: digits}}\nstages:\n{lines}"


MAKE = "generate: augmented-conditioning, per-class: 2"
COVER = "select: facility-location, share: 0.5"
WARNED = {
    "alone": (text(COVER), 1),
    "after what finds no outliers": (text("filter: duplicates", "filter: sharpness", "select: k-center, count: 9"), 1),
    "filtered": (text("filter: quality", COVER), 0),
    "of outliers": (text("filter: outlier", "select: k-center, share: 0.5"), 0),
    "synthetic ones, filtered": (text(MAKE, "filter: clip", COVER), 0),
    "all, only synthetic ones filtered": (text(MAKE, "filter: clip", COVER + ", on: all"), 1),
    "real ones filtered before": (text("filter: quality", MAKE, COVER), 1),
    "too late": (text(COVER, "filter: quality"), 1),
    "another selector": (text("select: diverse-anchors, share: 0.5", "select: random, share: 0.5"), 0),
    "of a run": (text(COVER).replace("{sample: digits}", "{run: runs/a}"), 0),
}


@pytest.mark.parametrize("case", WARNED)
def test_a_selector_that_keeps_outliers_is_warned_of(case: str) -> None:
    from augforge.recipe.advice import warnings_of

    recipe, count = WARNED[case]
    found = warnings_of(parse_recipe(recipe))
    assert len(found) == count
    assert all("keeps outliers" in line and "`filter: outlier`" in line for line in found)


@pytest.mark.parametrize("path", sorted(Path("recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_recipes_filter_first(path: Path) -> None:
    from augforge import Recipe as Built

    found = Built.load(path).warnings()  # the data of some has to be downloaded first
    assert [warning for warning in found if not warning.endswith("is not here: a run would stop at once")] == []


@pytest.mark.parametrize("name", ["facility-location", "k-center", "max-loss", "gradient-matching"])
def test_the_one_line_says_that_outliers_are_kept(name: str) -> None:
    line = (stage_class("select", name).__doc__ or "").split("\n")[0]
    assert ("outliers" in line or "mislabelled" in line) and "filter" in line
