"""The planner: counts by hand, yields and times from what was measured, and why its warnings say what they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from augforge.cli.app import app
from augforge.data.files import seal
from augforge.engine.decided import SAID
from augforge.engine.estimate import NO_BEST, ClassOutlook, tried_so_far, warnings_of
from augforge.engine.plan import plan_run
from augforge.engine.rates import measured_rate, recording
from augforge.engine.run import run
from augforge.recipe import Recipe, SourceSpec, load_recipe
from augforge.stages.filters.sharpness import Sharpness
from augforge.stages.selectors.random import Random
from tests.conftest import write_images
from tests.stub import Bright, Coin

SHARES = {"cat": 0.8, "dog": 0.25}


@pytest.fixture
def two(tmp_path) -> Path:
    return write_images(tmp_path / "two", {"cat": 6, "dog": 2}, size=8)


def recipe(source: Path, *more, **options) -> Recipe:
    stages = (Coin(batch=4, shares=SHARES, **options), Bright(on="synthetic", min=128), *more)
    return Recipe("plan", 1, (SourceSpec("folder", str(source)),), stages)


def by_class(recipe: Recipe, out: Path | None) -> dict[str, ClassOutlook]:
    (outlook,) = [row.outlook for row in plan_run(recipe, out) if row.outlook]
    return {one.label: one for one in outlook.classes}


def test_before_anything_is_made_only_amounts_are_known(two):
    rows = plan_run(recipe(two, per_class=30))
    outlook = rows[1].outlook
    assert outlook is not None and [row.outlook for row in rows if row is not rows[1]] == [None, None]
    cat, dog = outlook.classes
    assert (cat.real, cat.target, cat.ratio, cat.todo, dog.ratio) == (6, 30, 5.0, 30, 15.0)
    assert (cat.acceptance, cat.expected, cat.seconds, outlook.seconds) == (None, None, None, None)


def test_the_yield_is_that_of_the_images_made_so_far(two, tmp_path):
    run(recipe(two, Random(on="synthetic", share=0.5), per_class=12), tmp_path / "out")
    tried = tried_so_far(tmp_path / "out", "1-generate-coin")
    assert {label: made for label, (made, _) in tried.items()} == {"cat": 12, "dog": 12}
    summary = json.loads((tmp_path / "out" / "run.json").read_text())["summary"]
    assert (
        sum(accepted for _, accepted in tried.values())
        == 24 - summary["reasons"]["2-filter-bright"]["bright: under 128"]
    )
    more = by_class(recipe(two, per_class=30), tmp_path / "out")
    for label, one in more.items():
        made, accepted = tried[label]
        assert (one.made, one.accepted, one.acceptance) == (made, accepted, accepted / made)
        assert one.expected == pytest.approx(30 * accepted / made) and one.todo == 18


def test_a_class_without_images_made_has_the_yield_of_all(two, tmp_path):
    run(recipe(two, per_class=12, of="cat"), tmp_path / "out")
    found = by_class(recipe(two, per_class=12), tmp_path / "out")
    assert found["dog"].made == 0 and found["dog"].acceptance == found["cat"].acceptance > 0
    assert (found["cat"].todo, found["dog"].todo) == (0, 12)


def test_tries_are_reckoned_from_the_yield(two, tmp_path):
    run(recipe(two, per_class=12), tmp_path / "out")
    for label, one in by_class(recipe(two, until_accepted=20, max_tries=3), tmp_path / "out").items():
        likely = min(60, int(np.ceil(20 / one.acceptance))) if one.acceptance else 60
        assert (one.tries, one.todo) == (likely, likely - 12), label
        assert one.expected == pytest.approx(min(20, likely * one.acceptance))


def test_after_the_run_nothing_is_to_do_and_what_is_beyond_counts_as_accepted(two, tmp_path):
    done = run(recipe(two, until_accepted=9), tmp_path / "out")
    row = plan_run(recipe(two, until_accepted=9), tmp_path / "out")[1]
    assert row.todo == 0 and row.reused == done.work[1]["generated"]
    assert all(one.accepted >= 9 and one.expected == 9 for one in row.outlook.classes)
    assert not any("fall short" in warning for warning in row.outlook.warnings)


RULES = [{"keep": 0.5}, {"keep": 0.9}, {"min": 100}, {"min": 200}, {"outliers": 2.0}, {"mean_minus_std": 0.0}]


@pytest.mark.parametrize("first", RULES[:3])
@pytest.mark.parametrize("then", RULES)
def test_the_yield_is_by_the_rule_that_the_recipe_has_now(two, tmp_path, first, then):
    """As a run by that rule would find: what was dropped can come back, and the other way round, without a model."""
    folder, after = tmp_path / "out", (Random(on="synthetic", share=0.5),)

    def judged_by(rule):
        stages = (Coin(batch=4, shares=SHARES, per_class=12), Bright(on="synthetic", **rule), *after)
        return Recipe("plan", 1, (SourceSpec("folder", str(two)),), stages)

    run(judged_by(first), folder)
    planned = by_class(judged_by(then), folder)
    run(judged_by(then), folder)
    true = tried_so_far(folder, "1-generate-coin")
    assert {label: (one.made, one.accepted) for label, one in planned.items()} == true
    assert all(one.expected == true[label][1] for label, one in planned.items())


def test_a_later_filter_decides_again_about_those_that_come_to_it(two, tmp_path):
    """With 12 images of a class: 6 came to the second filter, which kept 3. Were 3 to come now, it would keep 1."""

    def judged_by(share):
        stages = (Coin(batch=4, shares=SHARES, per_class=12), *(Bright(on="synthetic", keep=k) for k in (share, 0.5)))
        return Recipe("plan", 1, (SourceSpec("folder", str(two)),), stages)

    run(judged_by(0.5), tmp_path / "out")
    for share, passing in ((0.25, 1), (0.75, 4)):
        for one in by_class(judged_by(share), tmp_path / "out").values():
            assert (one.made, one.accepted) == (12, passing), share


def test_where_scores_are_missing_the_yield_is_said_to_be_that_of_the_last_run(two, tmp_path):
    """What the first filter dropped has no score by the second one: whether it would pass is not known."""

    def warned(*filters):
        stages = (Coin(batch=4, shares=SHARES, per_class=12), *filters)
        changed = Recipe("plan", 1, (SourceSpec("folder", str(two)),), stages)
        (outlook,) = [row.outlook for row in plan_run(changed, tmp_path / "out") if row.outlook]
        return SAID in outlook.warnings, sum(one.accepted for one in outlook.classes)

    strict, lax, second = (Bright(on="synthetic", keep=k) for k in (0.5, 0.75, 1.0))
    sharp = Sharpness(on="synthetic", keep=1.0)
    run(
        Recipe("plan", 1, (SourceSpec("folder", str(two)),), (recipe(two, per_class=12).stages[0], strict, sharp)),
        tmp_path / "out",
    )
    assert warned(strict, sharp) == (False, 12)
    assert warned(lax, sharp) == (True, 12)
    assert warned(Bright(on="synthetic", keep=0.25), sharp) == (False, 6)
    assert warned(strict) == (True, 12), "a filter has gone"
    assert warned(lax, second) == (True, 12), "another filter"
    assert warned(Bright(on="all", keep=0.5), sharp) == (True, 12), "real images have no score"


def test_time_is_by_the_measured_rate(two, tmp_path):
    run(recipe(two, per_class=12), tmp_path / "out")
    (folder,) = (tmp_path / "out" / "parts").glob("generate-coin-*")
    measured = measured_rate(folder)
    assert measured is not None and measured.images == 24 and measured.seconds > 0
    plain = {"images": 10, "seconds": 20.0, "device": "cuda", "device-name": "a GPU"}
    (folder / "rate.json").write_bytes(seal(plain))
    outlook = plan_run(recipe(two, per_class=102), tmp_path / "out")[1].outlook
    assert (outlook.images_per_second, outlook.seconds, outlook.device_hours) == (0.5, 360.0, 0.1)
    assert [one.seconds for one in outlook.classes] == [180.0, 180.0]
    shared = plan_run(recipe(two, per_class=102, processes=4), tmp_path / "out")[1].outlook
    assert (shared.images_per_second, shared.seconds, shared.device_hours) == (2.0, 90.0, 0.1)


def test_rates_add_up_on_one_device_and_begin_anew_on_another(tmp_path):
    for facts, images in (({"device": "cpu"}, 5), ({"device": "cpu"}, 7), ({"device": "cuda", "device-name": "x"}, 2)):
        with recording(tmp_path, facts) as count:
            count(images - 1)
            count(1)
        if images == 7:
            assert measured_rate(tmp_path).images == 12
    assert (measured_rate(tmp_path).images, measured_rate(tmp_path).device_name) == (2, "x")
    with pytest.raises(ZeroDivisionError), recording(tmp_path, {"device": "cpu"}) as count:
        count(3)
        raise ZeroDivisionError
    assert measured_rate(tmp_path).images == 3
    with recording(tmp_path / "none", {}):
        pass
    assert measured_rate(tmp_path / "none") is None


def one(label: str, real: int, wanted: int, **more) -> ClassOutlook:
    known = {"ratio": wanted / real, "made": 0, "accepted": 0, "acceptance": None, "tries": wanted, "expected": None}
    return ClassOutlook(label, real, wanted, **{**known, **more})


def test_warnings():
    assert warnings_of((one("a", 10, 100), one("b", 10, 10)), False) == (NO_BEST,)
    high, best = warnings_of((one("a", 10, 101), one("b", 2, 90), one("c", 9, 9)), False)
    assert high.startswith("2 of 3 classes get over 10 new images for each real one (up to 45.0, 'b')")
    assert best == NO_BEST
    short = warnings_of((one("a", 10, 20, acceptance=0.1, expected=6.0, tries=60),), True)[0]
    assert short == "'a' will likely fall short: 10% accepted so far give 6 of 20 in 60 tries."
    assert warnings_of((one("a", 10, 0),), False) == ()


def test_the_command_shows_it(two, tmp_path):
    path = tmp_path / "r.yaml"
    stages = "[{{generate: shifts, size: 16, per-class: {}}}, {{filter: sharpness, min: 9}}]"
    text = "source: {{folder: {}}}\nstages: " + stages
    path.write_text(text.format(two, 4))
    run(load_recipe(path), tmp_path / "out")
    path.write_text(text.format(two, 80))
    words = ["plan", str(path), "--out", str(tmp_path / "out")]
    shown = CliRunner().invoke(app, words).output
    assert "1-generate-shifts: new images" in shown and "CPU-hours" in shown and NO_BEST in shown
    assert "(up to 40.0, 'dog')" in shown
    plain = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert plain[0]["outlook"] is None
    assert [c["todo"] for c in plain[1]["outlook"]["classes"]] == [76, 76]


# -- why a high ratio is warned of ------------------------------------------------------------------------------

GAMMAS = (0, 1, 2, 5, 10, 50)


def gaps(d: int, m: int, repeats: int, perfect: bool = False) -> np.ndarray:
    """(6,) the generalisation gap of a Gaussian mixture's maximum likelihood, with gamma times as many generated rows.

    Two classes with means +-mu, mu = (1, ..., 1) / sqrt(d), and standard deviation 0.6. The generator is a Gaussian
    for each class with mean and deviation of the m real rows; theta is the mean of y * x over real and generated
    rows; the loss of a row is |x - y theta|^2 / (2 * 0.36).
    """
    random, sigma, mu = np.random.default_rng(1), 0.6, np.full(d, 1 / np.sqrt(d))

    def draw(rows: int) -> tuple[np.ndarray, np.ndarray]:
        y = random.choice((-1, 1), (repeats, rows))
        return y, y[..., None] * mu + sigma * random.standard_normal((repeats, rows, d))

    y, x = draw(m)
    y[:, :4] = (1, 1, -1, -1)  # so that every class has two rows
    x[:, :4] = y[:, :4, None] * mu + sigma * random.standard_normal((repeats, 4, d))
    found = []
    for gamma in GAMMAS:
        more_y, more_x = draw(m * gamma)
        if not perfect:
            for label in (-1, 1):
                mine = (y == label)[..., None]
                count = mine.sum(1, keepdims=True)
                mean = (x * mine).sum(1, keepdims=True) / count
                deviation = np.sqrt((((x - mean) ** 2) * mine).sum(1, keepdims=True) / (count - 1))
                made = mean + deviation * random.standard_normal(more_x.shape)
                more_x = np.where((more_y == label)[..., None], made, more_x)
        every_y, every_x = np.concatenate([y, more_y], 1), np.concatenate([x, more_x], 1)
        theta = (every_y[..., None] * every_x).mean(1)
        seen = ((every_x - every_y[..., None] * theta[:, None]) ** 2).sum(2).mean(1)
        true = d * sigma**2 + ((theta - mu) ** 2).sum(1)
        found.append(np.abs(true - seen).mean() / (2 * sigma**2))
    return np.array(found)


def test_where_data_are_few_for_their_dimension_every_ratio_helps_a_little_more():
    found = gaps(50, 10, 200)
    assert (np.diff(found) < 0).all()
    assert np.abs(found / (4.93, 3.88, 2.88, 2.06, 1.69, 1.52) - 1).max() < 0.12
    assert -np.diff(found)[0] > 5 * -np.diff(found)[-1]


@pytest.mark.parametrize(("m", "repeats"), [(20, 1500), (500, 150)])
def test_in_one_dimension_no_ratio_changes_much(m, repeats):
    found = gaps(1, m, repeats)
    assert np.abs(found / found[0] - 1).max() < 0.16


def test_only_a_perfect_generator_would_take_the_gap_away():
    assert gaps(50, 10, 100, perfect=True)[-1] < 0.5 * gaps(50, 10, 100)[-1]


def test_a_plan_knows_that_selectors_leave_evaluation_splits_alone(tmp_path):
    write_images(tmp_path / "set" / "train", {"cat": 8, "dog": 4})
    write_images(tmp_path / "set" / "test", {"cat": 3, "dog": 2}, seed=1)
    recipe = Recipe("spare", 1, (SourceSpec("folder", str(tmp_path / "set")),), (Random(share=0.5),))
    ran = run(recipe, tmp_path / "out")
    assert ran.kept == 4 + 2 + 5
    planned = plan_run(recipe, tmp_path / "out")[-1]
    assert (planned.rows_out, dict(planned.classes)) == (11, {"cat": 7, "dog": 4}) == (ran.kept, dict(ran.classes))
    only = Recipe("only", 1, (SourceSpec("folder", str(tmp_path / "set"), {"split": "test"}),), recipe.stages)
    assert run(only, tmp_path / "only").kept == 2  # there are no others
