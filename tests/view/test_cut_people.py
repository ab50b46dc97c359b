"""A cut that is foreseen where a later stage follows what people decided, against what the engine makes of it."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from augforge.engine.run import run
from augforge.recipe import load_recipe
from augforge.review.lines import Line, now_utc
from augforge.review.log import append
from tests.view.made import noise

SHARP, QUALITY = "1-filter-sharpness", "2-filter-quality"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return noise(tmp_path_factory.mktemp("noise"), 20, seed=4)


class Reviewing:
    """A recipe whose filters are followed by people, in a folder of its own."""

    def __init__(self, pictures: Path, folder: Path, file: str = "review.jsonl") -> None:
        self.pictures, self.folder, self.file = pictures, folder, file

    def run(self, rule: str, name: str) -> Path:
        """A run with a rule of the first filter."""
        stages = f"  - {{filter: sharpness, {rule}}}\n  - {{filter: quality, keep: 0.9}}\n"
        recipe = self.folder / "recipe.yaml"
        stages += f"  - {{filter: review, file: {self.file}}}\n"
        recipe.write_text(f"name: r\nsource: {{folder: {self.pictures}}}\nstages:\n{stages}")
        run(load_recipe(recipe), self.folder / name, device="cpu")
        return self.folder / name

    def say(self, folder: Path, verdicts: dict[str, str], who: str = "Ann") -> None:
        """Write what somebody decided about images of a run, by their ids."""
        digests = {row["id"]: row["digest"] for row in rows(folder)}
        lines = [Line(who, now_utc(), each, digests[each], verdict) for each, verdict in verdicts.items()]
        append(self.folder / self.file, lines)


def rows(folder: Path) -> list[dict]:
    return pq.read_table(folder / "samples.parquet").to_pylist(maps_as_pydicts="strict")


def by_sharpness(folder: Path) -> list[str]:
    """The ids, the least sharp first."""
    return [row["id"] for row in sorted(rows(folder), key=lambda row: row["scores"]["sharpness"])]


def kept(folder: Path) -> set[str]:
    return {row["id"] for row in rows(folder) if row["kept"]}


def found_by(page, query: str) -> set[str]:
    return {row["id"] for row in page.get(f"/api/query/{query}/rows", limit=1000).json()["rows"]}


@pytest.fixture
def reviewing(pictures, tmp_path) -> Reviewing:
    return Reviewing(pictures, tmp_path)


@pytest.mark.parametrize("rule", [{"keep": 0.3, "scope": "all"}, {"keep": 0.9, "scope": "all"}])
@pytest.mark.parametrize("decided", ["before the run", "after it"])
def test_what_people_decide_is_not_among_what_comes_or_goes(opened, reviewing, rule, decided):
    before = reviewing.run("keep: 0.6, scope: all", "before")
    worst = by_sharpness(before)
    verdicts = dict.fromkeys([*worst[:3], *worst[-4:-2], worst[20]], "keep") | dict.fromkeys(worst[5:7], "drop")
    verdicts |= dict.fromkeys(worst[-2:], "drop")
    reviewing.say(before, verdicts)
    if decided == "before the run":
        before = reviewing.run("keep: 0.6, scope: all", "before")
    page = opened(before)
    asked = {"stage": SHARP, "options": rule}
    told = page.post("/api/cut", asked).json()
    go, come = found_by(page, told["go_query"]), found_by(page, told["come_query"])
    assert not (go | come) & verdicts.keys() and go | come
    assert any(note.startswith(f"{len(verdicts)} of the images") for note in told["notes"])
    after = reviewing.run(", ".join(f"{name}: {value}" for name, value in rule.items()), "after")
    changed = kept(before) ^ kept(after)
    others = {row["id"] for row in rows(before) + rows(after) if row["dropped_by"] == QUALITY}  # a later filter's share
    assert (go | come) - others == changed - verdicts.keys() - others and changed - verdicts.keys() - others
    assert told["seen"] == 40 - len(verdicts) == told["stays"] + told["goes"]


def test_a_run_in_which_people_overruled_the_filter_is_foreseen_exactly(opened, reviewing):
    first = reviewing.run("keep: 0.6, scope: all", "run")
    worst = by_sharpness(first)
    bad = [row["id"] for row in rows(first) if row["dropped_by"] == QUALITY]
    reviewing.say(first, dict.fromkeys([*worst[:3], *bad[:1]], "keep"))
    page = opened(reviewing.run("keep: 0.6, scope: all", "run"))
    assert bad and {*worst[:3], bad[0]} <= kept(page.run.folder)
    for title, seen in ((SHARP, 40), (QUALITY, 24)):
        told = page.get("/api/cut", stage=title).json()
        assert (told["off"], told["exact"]) == (0, True)
        assert len(page.run.filtering.seen(title).rows) == seen  # what was brought back later was not seen in between


@pytest.mark.parametrize(
    "noted",
    [
        "{",
        "[]",
        '{"3-filter-review": []}',
        '{"3-filter-review": {"overruled": [1]}}',
        '{"3-filter-review": {"overruled": {"x": 1, "y": {"stage": []}}}, "x": {"overruled": {"x": {}}}}',
    ],
)
def test_a_note_of_a_run_that_is_none_is_left_out(opened, reviewing, noted):
    folder = reviewing.run("keep: 0.6, scope: all", "run")
    (folder / "review.json").write_text(noted)
    assert opened(folder).get("/api/cut", stage=SHARP).json()["off"] == 0


def test_a_decision_that_is_made_in_the_page_counts_at_once(opened, reviewing):
    page = opened(reviewing.run("keep: 0.6, scope: all", "run"), recipe=reviewing.folder / "recipe.yaml")
    asked = {"stage": SHARP, "options": {"keep": 0.3, "scope": "all"}}
    first = page.post("/api/cut", asked).json()
    gone = sorted(found_by(page, first["go_query"]))[0]
    assert page.run.reviewed.path == reviewing.folder / "review.jsonl"
    assert page.post("/api/review", {"ids": [gone], "verdict": "keep"}).status_code == 200
    second = page.post("/api/cut", asked).json()
    assert found_by(page, second["go_query"]) == found_by(page, first["go_query"]) - {gone}
    assert first["notes"] == [] and len(second["notes"]) == 1


def test_what_people_disagree_about_or_wrote_elsewhere_is_left_to_the_filter(opened, reviewing, tmp_path):
    folder = reviewing.run("keep: 0.6, scope: all", "run")
    page = opened(folder)
    asked = {"stage": SHARP, "options": {"keep": 0.3, "scope": "all"}}
    gone = sorted(found_by(page, page.post("/api/cut", asked).json()["go_query"]))
    reviewing.say(folder, {gone[0]: "keep", gone[1]: "mark"})
    reviewing.say(folder, {gone[0]: "drop"}, "Bob")
    Reviewing(reviewing.pictures, tmp_path, "other.jsonl").say(folder, {gone[2]: "keep"})
    told = page.post("/api/cut", asked).json()
    assert found_by(page, told["go_query"]) == set(gone) and told["notes"] == []


def test_people_who_decide_before_the_filter_leave_the_rest_to_it(opened, pictures, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    stages = "  - {filter: review}\n  - {filter: sharpness, keep: 0.6, scope: all}\n"
    recipe.write_text(f"name: r\nsource: {{folder: {pictures}}}\nstages:\n{stages}")
    run(load_recipe(recipe), tmp_path / "run", device="cpu")
    Reviewing(pictures, tmp_path).say(tmp_path / "run", {by_sharpness(tmp_path / "run")[20]: "keep"})
    told = opened(tmp_path / "run").post("/api/cut", {"stage": "2-filter-sharpness", "options": {"keep": 0.3}}).json()
    assert told["seen"] == 40 and told["notes"] == []
