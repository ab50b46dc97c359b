"""Suggestions and doubts of a run whose scores are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from augforge.algorithms.cuts import Kept
from augforge.algorithms.proportions import NORMAL
from augforge.engine.run import run
from augforge.errors import RecipeError, StoreError
from augforge.recipe import load_recipe
from augforge.review.doubt import cuts_of, to_review
from augforge.review.log import append
from augforge.review.measured import measured
from augforge.review.suggest import more_to_review, suggest
from tests.conftest import write_images
from tests.review.made import decide, line, rows


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 24 images: sharpness keeps half, then a review keeps the worst one against it."""
    folder = tmp_path_factory.mktemp("made")
    write_images(folder / "pictures", {"cat": 14, "dog": 10}, size=8)
    (folder / "r.yaml").write_text(
        f"name: r\nsource: {{folder: {folder / 'pictures'}}}\nstages:\n"
        "  - {filter: sharpness, keep: 0.5, on: all, scope: all}\n  - {filter: review}\n"
    )
    run(load_recipe(folder / "r.yaml"), folder / "run")
    decide(folder / "review.jsonl", folder / "run", {by_score(folder / "run")[0]: {"verdict": "keep"}})
    run(load_recipe(folder / "r.yaml"), folder / "run")
    return folder / "run"


def by_score(out: Path) -> list[str]:
    """The ids, the worst first."""
    known = {i: dict(row["scores"])["sharpness"] for i, row in rows(out).items()}
    return sorted(known, key=known.__getitem__)


def test_a_known_disagreement(made, tmp_path):
    """All above the sixth are good, all below bad, but for the worst one: the cut belongs between these two."""
    ids, file = by_score(made), tmp_path / "review.jsonl"
    verdicts = {i: {"verdict": "keep" if place >= 6 or place == 0 else "drop"} for place, i in enumerate(ids)}
    decide(file, made, verdicts)
    decide(file, made, {ids[3]: {"verdict": "relabel"}}, second=1)  # which says nothing of sharpness
    append(file, [line(sample=ids[4], digest="0" * 64, second=2, verdict="keep")])  # nor does what has other bytes
    (found,) = suggest(made, file)
    assert (found.reviewed, found.now) == (22, Kept(kept=12, right=12, good=19))
    assert (found.filter.number, found.filter.title, found.option) == (1, "1-filter-sharpness", "min")
    assert set(found.wrongly_dropped) == {ids[0], *ids[6:12]} and found.wrongly_kept == ()
    scores = {i: dict(row["scores"])["sharpness"] for i, row in rows(made).items()}
    assert scores[ids[5]] < found.suggested.at < scores[ids[6]]
    assert (found.suggested.precision, found.suggested.recall) == (1.0, 18 / 19)
    assert len(found.cuts) == 22 and found.plain()["curve"][-1][2] == 1.0
    (all_,) = suggest(made, file, precision=0.8)
    assert all_.suggested.recall == 1.0 and all_.suggested.precision == 19 / 22


def test_where_all_agree_nothing_is_suggested(made, tmp_path):
    assert suggest(made, tmp_path / "none.jsonl")[0].reviewed == 0
    decide(tmp_path / "review.jsonl", made, {i: {"verdict": "keep"} for i in by_score(made)})
    (found,) = suggest(made, tmp_path / "review.jsonl")
    assert (found.suggested, found.more, found.cuts) == (None, None, ()) and found.plain()["now"]["recall"] == 0.5
    with pytest.raises(RecipeError, match="no share"):
        suggest(made, tmp_path / "review.jsonl", precision=1.5)
    with pytest.raises(StoreError, match="no run folder"):
        suggest(tmp_path, tmp_path / "review.jsonl")


def test_how_many_more_to_review():
    """Of 100 reviewed 50 are kept, 45 of which are good, and 60 are good: both intervals are wide."""

    def wide(share: float, n: float) -> float:
        return NORMAL / (1 + NORMAL**2 / n) * np.sqrt(share * (1 - share) / n + NORMAL**2 / (4 * n * n))

    more = more_to_review(Kept(kept=50, right=45, good=60), 100)
    total = 100 + more
    assert wide(0.9, total * 0.5) <= 0.02 + 1e-9 and wide(0.75, total * 0.6) <= 0.02 + 1e-9
    assert max(wide(0.9, (total - 3) * 0.5), wide(0.75, (total - 3) * 0.6)) > 0.02
    assert more_to_review(Kept(kept=5000, right=4500, good=6000), 10_000) == 0


def test_a_filter_is_asked_about_what_was_kept_against_it(made):
    run_ = measured(made)
    dropped = np.array(run_.rows.column("id").to_pylist())[run_.dropped_by("1-filter-sharpness")]
    assert set(dropped) == set(by_score(made)[:12]) and rows(made)[by_score(made)[0]]["kept"]


def test_the_cut_of_a_share_is_where_it_fell(made):
    run_ = measured(made)
    scores = sorted(dict(row["scores"])["sharpness"] for row in rows(made).values())
    assert np.unique(cuts_of(run_.filters[0], run_)) == pytest.approx([(scores[11] + scores[12]) / 2])


def test_doubt_is_how_many_lie_between_an_image_and_the_cut(made):
    found = {each.sample: each.doubt for each in to_review(made, 24)}
    for place, identity in enumerate(by_score(made)):
        between = 11 - place if place < 12 else place - 12
        assert found[identity] == pytest.approx(between / 24)


def test_each_class_and_outcome_takes_turns_the_nearest_first(made):
    found = to_review(made, 24)
    known = rows(made)
    strata = {(known[i]["label"], known[i]["kept"]) for i in known}
    assert {(each.label, each.kept) for each in found[: len(strata)]} == strata
    for stratum in strata:
        mine = [each.doubt for each in found if (each.label, each.kept) == stratum]
        assert mine == sorted(mine)
    assert sorted(each.sample for each in found) == sorted(known)


def test_the_order_is_that_of_the_seed_and_goes_on_where_it_stopped(made):
    for by in ("doubt", "random"):
        first = [each.sample for each in to_review(made, 24, by, seed=3)]
        assert first == [each.sample for each in to_review(made, 24, by, seed=3)]
        rest = [each.sample for each in to_review(made, 24, by, seed=3, done=first[:8])]
        assert set(rest) == set(first[8:])
        for label in ("cat", "dog"):
            of = [i for i in first[8:] if rows(made)[i]["label"] == label and rows(made)[i]["kept"]]
            assert [i for i in rest if i in of] == of
    other = [each.sample for each in to_review(made, 24, "random", seed=4)]
    assert other != [each.sample for each in to_review(made, 24, "random", seed=3)]
    assert to_review(made, 2, "random")[0].measure is None and len(to_review(made, 2)) == 2
    with pytest.raises(RecipeError, match="no way to choose"):
        to_review(made, 2, "luck")
