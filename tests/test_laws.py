"""The laws of the design, over the whole catalog: a new stage is covered by its catalog line and its example."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow.parquet as pq
import pytest

from augforge.engine.run import Summary, run
from augforge.errors import RecipeError
from augforge.progress import Bar, Progress
from augforge.provenance.lock import NAME, read_lock
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.catalog import STAGES, VERBS, stage_class
from augforge.stages.stage import kebab
from tests.conftest import write_images
from tests.saved import saved

EVERY = list(STAGES)
BY_VERB = {verb: [stage for stage in EVERY if stage[0] == verb] for verb in VERBS}
COMPUTING = [stage for stage in EVERY if stage[0] != "train"]
"""The stages that go image by image; one more image changes a training as a whole."""


@pytest.fixture(scope="session")
def models(tiny_models: dict[str, str]) -> dict[str, str]:
    return tiny_models


def recipe_of(
    models: Mapping[str, str], source: Path | list[Path], *stages: tuple[str, str, dict[str, Any]], seed: int = 1
):
    sources = source if isinstance(source, list) else [source]
    built = []
    for verb, name, options in stages:
        cls = stage_class(verb, name)
        named = {kebab(option): models[task] for option, task in cls.tasks().items()}
        small = {"batch": 4} if verb == "generate" else {}
        built.append(build_stage(verb, name, {**named, **small, **cls.example, **options}))
    return Recipe("law", seed, tuple(SourceSpec("folder", str(path)) for path in sources), tuple(built))


def chain(models, source, stage: tuple[str, str], seed: int = 1, **options: Any) -> Recipe:
    """The stage alone, or after a generator so that it sees real and synthetic images."""
    verb, name = stage
    if name == "review":
        return reviewed(models, source, verb, seed, **options)
    first = [("generate", "augmented-conditioning", {"per-class": 3})] if verb in ("filter", "select") else []
    if verb == "pseudo-label":
        write_loose(max(source) if isinstance(source, list) else source)
    return recipe_of(models, source, *first, (verb, name, options), seed=seed)


def reviewed(models, source, verb: str, seed: int, share: float = 0.5, **options: Any) -> Recipe:
    """After a generator `verb: review`, of a file in which people dropped or marked a share of the real images."""
    from augforge.review.log import append
    from tests.review.made import line

    folders = sorted(source if isinstance(source, list) else [source])
    file = folders[0].parent / f"{verb}-{share}.jsonl"
    if not file.exists():
        run(recipe_of(models, folders, ("filter", "degenerate", {"keep": 1.0})), file.with_suffix(".run"))
        seen = rows(file.with_suffix(".run"))
        some = sorted(seen)[: max(1, int(share * len(seen)))]
        verdict = "drop" if verb == "filter" else "mark"
        append(file, [line(sample=each, verdict=verdict, digest=seen[each]["digest"]) for each in some])
    first = ("generate", "augmented-conditioning", {"per-class": 3})
    return recipe_of(models, source, first, (verb, "review", {"file": str(file), **options}), seed=seed)


def write_loose(folder: Path) -> None:
    """Pictures without a class, the same whenever it is called."""
    for index in range(6):
        if not (folder / f"loose-{index}.png").exists():
            write_images(folder, {".": 1}, seed=100 + index)
            (folder / "0000.png").rename(folder / f"loose-{index}.png")


def rows(out: Path | str) -> dict[str, dict[str, Any]]:
    table = pq.read_table(Path(out) / "samples.parquet").to_pylist()
    assert len({row["id"] for row in table}) == len(table)
    return {row["id"]: row for row in table}


def decisions(out: Path) -> dict[str, Any]:
    """Everything of the ledger that must not depend on batches, order, workers or crashes."""
    hidden = {"digest", "sampled_params", "generation_config", "scores", "ref"}
    kept = {}
    for identity, row in rows(out).items():
        sampled_params = {
            k: v for k, v in json.loads(row["sampled_params"]).items() if k not in {"batch-number", "slot"}
        }
        kept[identity] = {**{k: v for k, v in row.items() if k not in hidden}, "sampled_params": sampled_params}
    return kept


def pixels(out: Path) -> dict[str, np.ndarray]:
    data = saved(out)
    return {row["id"]: np.asarray(row["image"].convert("RGB"), dtype=int) for row in data}


class NoModels(Progress):
    """Fails when anything is about to be computed, and at every remark but the one that is expected."""

    def __init__(self, expected: str | None = None) -> None:
        self.expected = expected

    def bar(self, title: str, total: int, unit: str = "images"):
        assert title == "write", f"{title}: {total} computed"
        return super().bar(title, total, unit)

    def say(self, text: str) -> None:
        assert self.expected is not None and self.expected in text, text


@pytest.mark.parametrize("stage", EVERY, ids="-".join)
def test_1_nothing_disappears(models, pictures, tmp_path, stage):
    summary = run(chain(models, pictures, stage), tmp_path / "out")
    ledger = rows(tmp_path / "out")
    for row in ledger.values():
        assert row["kept"] != bool(row["dropped"]) and row["kept"] != bool(row["dropped_by"])
        assert all(parent in ledger for parent in row["parents"])
    kept = {identity for identity, row in ledger.items() if row["kept"]}
    assert set(saved(tmp_path / "out")["id"]) == kept
    assert (summary.kept, summary.dropped) == (len(kept), len(ledger) - len(kept))
    assert sum(sum(reasons.values()) for reasons in summary.reasons.values()) == summary.dropped
    for before, after in zip(summary.work, summary.work[1:], strict=False):
        assert after["in"] == before["out"]


@pytest.mark.parametrize("stage", EVERY, ids="-".join)
def test_2_batch_size_does_not_matter(models, pictures, tmp_path, stage):
    for name, batch in (("four", 4), ("three", 3)):
        recipe = chain(models, pictures, stage)
        stages = tuple(s.model_copy(update={"batch": batch}) if s.verb == "generate" else s for s in recipe.stages)
        run(Recipe(recipe.name, recipe.seed, recipe.sources, stages), tmp_path / name)
    if stage[0] != "generate":  # a last bit of a pixel may turn a tie; ids, draws and counts must not change
        same = [
            {i: row["sampled_params"] for i, row in decisions(tmp_path / name).items()} for name in ("four", "three")
        ]
        assert same[0] == same[1]
        assert len(pixels(tmp_path / "four")) == len(pixels(tmp_path / "three"))
        return
    assert decisions(tmp_path / "four") == decisions(tmp_path / "three")
    one, other = pixels(tmp_path / "four"), pixels(tmp_path / "three")
    assert all(np.abs(one[i] - other[i]).max() <= 1 for i in one)


@pytest.mark.parametrize("stage", EVERY, ids="-".join)
def test_2_order_of_sources_does_not_matter(models, tmp_path, stage):
    a = write_images(tmp_path / "a", {"cat": 4, "dog": 2}, seed=1)
    b = write_images(tmp_path / "b", {"cat": 2, "dog": 4}, seed=2)
    run(chain(models, [a, b], stage), tmp_path / "ab", allow_empty=True)  # a tiny model may make constant pictures
    run(chain(models, [b, a], stage), tmp_path / "ba", allow_empty=True)
    assert decisions(tmp_path / "ab") == decisions(tmp_path / "ba")


@pytest.mark.parametrize("stage", EVERY, ids="-".join)
def test_3_a_second_run_computes_nothing_and_a_fresh_one_is_equal(models, pictures, tmp_path, stage):
    recipe = chain(models, pictures, stage)
    first = run(recipe, tmp_path / "one")
    assert first.computed > 0 and not first.up_to_date
    again = run(recipe, tmp_path / "one", progress=NoModels())
    assert again.up_to_date and again.computed == 0 and again.classes == first.classes
    shutil.rmtree(tmp_path / "one" / "dataset")
    rewritten = run(recipe, tmp_path / "one", progress=NoModels("is missing; the result is written again"))
    assert rewritten.computed == 0 and rewritten.kept == first.kept
    run(recipe, tmp_path / "two")
    assert rows(tmp_path / "one") == rows(tmp_path / "two")


class Crash(Exception):
    pass


class CrashAt(Progress):
    """Stops the run when a bar has advanced `after` times."""

    def __init__(self, after: int) -> None:
        self.left = after

    def bar(self, title: str, total: int, unit: str = "images"):
        from contextlib import contextmanager

        outer = self

        @contextmanager
        def counting():
            class Counting(Bar):
                def advance(self, count: int = 1) -> None:
                    outer.left -= 1
                    if outer.left == 0:
                        raise Crash

            yield Counting()

        return counting()


@pytest.mark.parametrize("stage", EVERY, ids="-".join)
def test_3_a_run_that_broke_goes_on_to_the_same_result(models, pictures, tmp_path, stage):
    recipe = chain(models, pictures, stage)
    whole = run(recipe, tmp_path / "whole")
    broken = 0
    for after in range(1, 12):
        try:
            run(recipe, tmp_path / "broken", progress=CrashAt(after))
        except Crash:
            broken += 1
    resumed = run(recipe, tmp_path / "broken")
    assert broken >= 2
    assert (resumed.kept, resumed.reasons) == (whole.kept, whole.reasons)
    assert rows(tmp_path / "broken") == rows(tmp_path / "whole")
    assert all((pixels(tmp_path / "broken")[i] == image).all() for i, image in pixels(tmp_path / "whole").items())


@pytest.mark.parametrize("stage", BY_VERB["generate"], ids="-".join)
def test_4_more_copies_only_add(models, pictures, tmp_path, stage):
    run(chain(models, pictures, stage, **{"per-class": 2}), tmp_path / "out")
    before = set(rows(tmp_path / "out"))
    more = run(chain(models, pictures, stage, **{"per-class": 5}), tmp_path / "out")
    assert before < set(rows(tmp_path / "out"))
    assert more.work[1]["generated"] == 3 * 3 and more.work[1]["reused"] == 2 * 3


@pytest.mark.parametrize("stage", COMPUTING, ids="-".join)
def test_4_one_more_source_image_computes_only_what_is_new(models, tmp_path, stage):
    folder = write_images(tmp_path / "pictures", {"cat": 30, "dog": 30})
    first = run(chain(models, folder, stage, **({"per-class": 30} if stage[0] == "generate" else {})), tmp_path / "out")
    extra = write_images(tmp_path / "more", {"cat": 1}, seed=99)
    recipe = chain(models, [folder, extra], stage, **({"per-class": 30} if stage[0] == "generate" else {}))
    second = run(recipe, tmp_path / "out")
    assert second.work[0]["read"] == 1
    assert second.computed <= 1 + max(8, 0.2 * first.computed)


@pytest.mark.parametrize("stage", EVERY, ids="-".join)
def test_5_the_example_both_keeps_and_drops_or_makes(models, pictures, tmp_path, stage):
    summary = run(chain(models, pictures, stage), tmp_path / "out")
    last: Mapping[str, Any] = summary.work[-1]
    if stage[0] == "generate":
        assert last["out"] > last["in"]
    elif stage[0] == "train":
        assert last["trained"] > 0 and last["out"] == last["in"]
    elif stage[0] == "split":
        assert {row["split"] for row in rows(tmp_path / "out").values()} == {"train", "test"}
    elif stage == ("caption", "classes"):
        assert last["out"] == last["in"]
        assert read_lock(tmp_path / "out" / NAME)["words"]["background"].keys() == {"cat", "dog", "lone"}
    elif stage[0] == "caption":
        assert last["out"] == last["in"]
        assert all('"caption"' in row["annotations"] for row in rows(tmp_path / "out").values())
    else:
        assert 0 < last["out"] < last["in"]


@pytest.mark.parametrize("on", ["synthetic", "real"])
@pytest.mark.parametrize("stage", BY_VERB["filter"] + BY_VERB["select"], ids="-".join)
def test_on_spares_the_others(models, pictures, tmp_path, stage, on):
    fields = stage_class(*stage).model_fields
    if "on" not in fields or on not in get_args(fields["on"].annotation):  # a subsampler only ever looks at real images
        with pytest.raises(RecipeError):
            chain(models, pictures, stage, on=on)
        return
    run(chain(models, pictures, stage, on=on), tmp_path / "out")
    dropped = {row["origin"] for row in rows(tmp_path / "out").values() if not row["kept"]}
    assert dropped == {on}


@pytest.mark.parametrize("stage", BY_VERB["generate"], ids="-".join)
def test_6_with_k_shots_the_other_images_cannot_matter(models, tmp_path, stage):
    folder = write_images(tmp_path / "all", {"cat": 12, "dog": 9})
    options = {"per-class": 4, "shots": 2}
    run(chain(models, folder, stage, **options), tmp_path / "full")
    made = {i: row for i, row in rows(tmp_path / "full").items() if row["origin"] == "synthetic"}
    parents = {parent for row in made.values() for parent in row["parents"]}
    assert len(parents) <= 4
    for row in rows(tmp_path / "full").values():
        if row["origin"] == "real" and row["id"] not in parents and parents:
            Path(row["source"].split(" ", 1)[1].replace(": ", "/")).unlink()
    run(chain(models, folder, stage, **options), tmp_path / "shots")
    left = {i: row for i, row in rows(tmp_path / "shots").items() if row["origin"] == "synthetic"}
    assert {i: row["digest"] for i, row in left.items()} == {i: row["digest"] for i, row in made.items()}


@pytest.mark.parametrize("stage", BY_VERB["generate"], ids="-".join)
def test_6_an_evaluation_split_never_conditions(models, tmp_path, stage):
    write_images(tmp_path / "set" / "train", {"cat": 3, "dog": 2})
    write_images(tmp_path / "set" / "test", {"cat": 5, "dog": 5}, seed=9)
    run(chain(models, tmp_path / "set", stage), tmp_path / "out")
    ledger = rows(tmp_path / "out")
    assert {row["split"] for row in ledger.values() if row["origin"] == "real"} == {"train", "test"}
    conditioning = {ledger[p]["split"] for row in ledger.values() for p in row["parents"]}
    assert conditioning <= {"train"} and (conditioning or stage[1] == "text2img")


@pytest.mark.parametrize("stage", EVERY, ids="-".join)
def test_7_other_weights_are_another_result(models, pictures, tmp_path, stage):
    tasks = {task for task in stage_class(*stage).tasks().values() if Path(models[task]).is_dir()}
    if not tasks:
        return  # no model with weights, nothing to take for another
    run(chain(models, pictures, stage), tmp_path / "out")
    others = {task: str(shutil.copytree(models[task], tmp_path / f"other-{task}")) for task in tasks}
    for folder in others.values():
        (Path(folder) / "note.txt").write_text("other bytes, other model")
    again = run(chain({**models, **others}, pictures, stage), tmp_path / "out")
    assert sum(again.work[-1].get(name, 0) for name in ("generated", "measured", "trained")) > 0


@pytest.mark.parametrize("stage", BY_VERB["filter"], ids="-".join)
def test_changing_the_rule_measures_nothing(models, pictures, tmp_path, stage):
    run(chain(models, pictures, stage), tmp_path / "out")
    rules = [{"keep": 0.25}, {"keep": None, "min": 0.0}, {"keep": None, "mean-minus-std": 0.5}, {"scope": "all"}]
    if "keep" not in stage_class(*stage).model_fields:
        rules = [{"distance": 5}, {"flips": False}, {"within": "class"}]
    others = (reviewed(models, pictures, "filter", 1, share) for share in (0.25, 0.75))
    recipes = (chain(models, pictures, stage, **rule) for rule in rules)
    for recipe in others if stage[1] == "review" else recipes:
        summary = run(recipe, tmp_path / "out", progress=NoModels())
        assert summary.computed == 0 and not summary.up_to_date


@pytest.mark.parametrize("stage", EVERY, ids="-".join)
def test_real_bytes_are_never_touched(models, pictures, tmp_path, stage):
    run(chain(models, pictures, stage), tmp_path / "out")
    sources = {path.read_bytes() for path in pictures.rglob("*.png")}
    data = saved(tmp_path / "out").cast_column("image", _undecoded())
    real = [row["image"]["bytes"] for row in data if row["origin"] == "real"]
    assert real and set(real) <= sources


def _undecoded():
    from datasets import Image

    return Image(decode=False)


def test_every_option_is_described():
    for verb, name in EVERY:
        cls = stage_class(verb, name)
        assert cls.__doc__ and cls.example
        assert all(info.description for info in cls.model_fields.values()), name


def test_summary_is_plain():
    assert Summary("x", 0, 0, {}, {}, []).computed == 0
