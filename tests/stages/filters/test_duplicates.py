"""The filter over whole runs: who goes, for whom, with which reason; and what is computed again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from augforge.data.ledger import Ledger
from augforge.data.sample import Sample
from augforge.data.store import Store
from augforge.engine.context import RunContext
from augforge.engine.embedding import Embedders
from augforge.engine.ingest import open_sources, read_sources
from augforge.engine.pixels import Pixels
from augforge.engine.runners.candidates import among
from augforge.engine.runners.duplicates import run_duplicates
from augforge.errors import SourceError
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec
from augforge.stages.filters.duplicates import Duplicates
from tests.algorithms.duplicates.drawings import KINDS, coloured, drawing, shape
from tests.algorithms.duplicates.pictures import edits, jpeg, mirror, picture, png


class Silent(Progress):
    """Fails when anything is computed."""

    def bar(self, title: str, total: int, unit: str = "images"):
        raise AssertionError(f"{title}: {total} computed")


class Said(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def about(self, text: str) -> None:
        self.lines.append(text)


def write(folder: Path, **files: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name.replace("_", ".")).write_bytes(data)
    return folder


def judge(
    stage: Duplicates, out: Path, *sources: Path, change: Any = None, progress: Progress | None = None
) -> tuple[Ledger, dict[str, int]]:
    """The ledger after the stage alone; `change` may turn samples into others before."""
    progress = progress or Progress()
    recipe = Recipe("r", 0, tuple(SourceSpec("folder", str(s)) for s in sources), (stage,))
    opened, store = open_sources(recipe), Store(out)
    ledger, _ = read_sources(opened, store, progress)
    if change is not None:
        changed = Ledger(ledger.classes)
        changed.extend(change(list(ledger.samples(np.arange(len(ledger))))))
        ledger = changed
    pixels = Pixels(opened, recipe.sources)
    context = RunContext(ledger, Embedders(store, pixels, "cpu", progress))
    did = run_duplicates(stage, "1-filter-duplicates", context)
    ledger.reconcile()
    return ledger, did


def gone(ledger: Ledger) -> dict[str, str]:
    """File name and reason of all that were dropped."""
    rows = ledger.samples(np.flatnonzero(~ledger.kept))
    return {str(row.source).rsplit(": ", 1)[1]: str(row.dropped) for row in rows}


def ids(ledger: Ledger) -> dict[str, str]:
    return {str(row.source).rsplit(": ", 1)[1]: row.id for row in ledger.samples(np.arange(len(ledger)))}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A picture, its copies of all kinds, and strangers. The first is the largest, so it stays."""
    first = picture(1, 240, 192)
    return write(
        tmp_path / "source",
        a_png=png(first),
        copy_png=png(first),
        encoded_jpg=jpeg(first.resize((200, 160)), 60),
        flip_jpg=jpeg(mirror(first).resize((200, 160)), 90),
        blur_jpg=jpeg(first.filter(ImageFilter.GaussianBlur(1)).resize((200, 160)), 90),
        **{f"stranger-{seed}_png": png(picture(seed)) for seed in range(2, 8)},
    )


def test_copies_go_and_strangers_stay(source: Path, tmp_path: Path) -> None:
    ledger, did = judge(Duplicates(), tmp_path / "out", source)
    names, found = ids(ledger), gone(ledger)
    first = [name for name in ("a.png", "copy.png") if name not in found]
    assert len(first) == 1 and set(found) == {"a.png", "copy.png", "encoded.jpg", "flip.jpg", "blur.jpg"} - set(first)
    assert did["measured"] == 10  # two files are equal
    kept = names[first[0]][:8]
    cluster = min(names[name] for name in {*found, *first})[:8]
    for name, reason in found.items():
        assert f"of {kept}" in reason and reason.endswith(f"cluster {cluster}")
        assert reason.startswith("exact copy" if name in ("a.png", "copy.png") else "near-duplicate")
    scores = ledger.scores["duplicate-distance"]
    assert np.isnan(scores).sum() == 6 and np.nanmax(scores) <= 14


def test_evidence_and_flips_can_be_left_out(source: Path, tmp_path: Path) -> None:
    exact, did = judge(Duplicates(by="exact"), tmp_path / "out", source)
    assert len(gone(exact)) == 1 and did["measured"] == 0
    straight, _ = judge(Duplicates(flips=False), tmp_path / "out", source)
    assert len(gone(straight)) == 3 and "flip.jpg" not in gone(straight)


def test_deciding_again_computes_nothing(source: Path, tmp_path: Path) -> None:
    judge(Duplicates(), tmp_path / "out", source)
    for options in ({"distance": 4}, {"distance": 20}, {"flips": False}, {"within": "class"}, {"on": "real"}):
        _, did = judge(Duplicates(**options), tmp_path / "out", source, progress=Silent())
        assert did["measured"] == 0


def test_within_a_class_only(tmp_path: Path) -> None:
    first = picture(1)
    write(tmp_path / "s" / "cat", a_png=png(first), b_png=png(first), c_jpg=jpeg(first))
    write(tmp_path / "s" / "dog", d_png=png(first))
    inside, _ = judge(Duplicates(within="class"), tmp_path / "out", tmp_path / "s")
    assert inside.class_counts() == {"cat": 1, "dog": 1}
    over, _ = judge(Duplicates(), tmp_path / "out", tmp_path / "s")
    assert sum(over.class_counts().values()) == 1


def drawings(folder: Path, count: int = 60) -> Path:
    """Drawings of one shape each, a class for each kind."""
    for seed in range(count):
        write(folder / KINDS[seed % 3], **{f"d{seed}_png": png(drawing(seed))})
    return folder


def test_different_drawings_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """60 drawings at other places, sizes and colours; by the hash alone, the wrong variant here, many of them go.

    Three go that lie, cut a little, over another of their class, of nearly one size and lightness.
    """
    source = drawings(tmp_path / "s")
    ledger, _ = judge(Duplicates(), tmp_path / "out", source)
    assert set(gone(ledger)) <= {"circle/d6.png", "square/d28.png", "triangle/d29.png"}
    assert "label-conflict" not in ledger.scores
    monkeypatch.setattr("augforge.engine.runners.candidates.DIFFERENT", np.inf)
    blind, _ = judge(Duplicates(conflicts="drop"), tmp_path / "out", source)
    assert len(gone(blind)) >= 10


@pytest.mark.parametrize("dots", [0, 60])
def test_drawings_in_other_colours_stay(dots: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """90 coloured shapes on coloured grounds, by themselves and `against` each other.

    Without the mean colours of regions, the wrong variant, several of them go.
    """
    for seed in range(90):
        side = "others" if seed % 2 else "own"
        write(tmp_path / side / KINDS[seed % 3], **{f"d{seed}_png": png(coloured(seed, dots=dots))})
    own, others = tmp_path / "own", tmp_path / "others"
    assert not gone(judge(Duplicates(), tmp_path / "out", own, others)[0])
    assert not gone(judge(Duplicates(against=str(others)), tmp_path / "out", own)[0])
    monkeypatch.setattr("augforge.algorithms.duplicates.closer._REGION_BOUND", np.inf)
    assert len(gone(judge(Duplicates(), tmp_path / "blind", own, others)[0])) >= 3


def test_copies_of_drawings_still_go(tmp_path: Path) -> None:
    source = drawings(tmp_path / "s", 6)
    for seed in range(6):
        for name, image in edits(drawing(seed)).items():
            write(source / KINDS[seed % 3], **{f"d{seed}-{name}_jpg": jpeg(image, 80)})
    ledger, _ = judge(Duplicates(), tmp_path / "out", source)
    left = {name for name in ids(ledger) if name not in gone(ledger)}
    assert len(left) == 6 and len({name.split("/")[1].split("-")[0].split(".")[0] for name in left}) == 6


def test_what_was_looked_at_closer_is_not_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = drawings(tmp_path / "s", 20)
    before, _ = judge(Duplicates(), tmp_path / "out", source)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("looked again")

    monkeypatch.setattr("augforge.engine.runners.closer_look.differences", never)
    assert gone(judge(Duplicates(), tmp_path / "out", source)[0]) == gone(before)


def conflicting(folder: Path) -> Path:
    """A photograph and a drawing, each with a near-duplicate of another class; and a file that is in two classes."""
    write(folder / "cat", a_png=png(picture(1)), x_png=png(picture(3)))
    write(folder / "dog", b_jpg=jpeg(picture(1), 80), x_png=png(picture(3)))
    write(folder / "disc", c_png=png(shape("circle", 40, 50, 20)))
    write(folder / "ball", d_jpg=jpeg(shape("circle", 40, 50, 20), 80), e_png=png(picture(4)))
    return folder


def test_near_duplicates_with_different_labels_are_listed_and_stay(tmp_path: Path) -> None:
    said = Said()
    ledger, _ = judge(Duplicates(), tmp_path / "out", conflicting(tmp_path / "s"), progress=said)
    (reason,) = gone(ledger).values()
    assert reason.startswith("exact copy of") and ", which is labelled '" in reason
    (told,) = [line for line in said.lines if "label conflict" in line]
    assert "3 label conflicts" in told
    assert any(pair in told for pair in ("cat/a.png (cat) and dog/b.jpg (dog)", "dog/b.jpg (dog) and cat/a.png (cat)"))
    numbers = dict(zip(ids(ledger), ledger.scores["label-conflict"], strict=True))
    assert numbers["cat/a.png"] == numbers["dog/b.jpg"] and numbers["disc/c.png"] == numbers["ball/d.jpg"]
    assert len({*numbers.values()} - {numbers["ball/e.png"]}) == 3 and np.isnan(numbers["ball/e.png"])
    assert sorted({n for n in numbers.values() if not np.isnan(n)}) == [1, 2, 3]


def test_conflicts_can_be_dropped_and_are_listed_still(tmp_path: Path) -> None:
    said = Said()
    ledger, _ = judge(Duplicates(conflicts="drop"), tmp_path / "out", conflicting(tmp_path / "s"), progress=said)
    assert len(gone(ledger)) == 3 and all(", which is labelled '" in reason for reason in gone(ledger).values())
    assert any("3 label conflicts" in line for line in said.lines)


def test_what_is_near_to_a_file_of_both_classes_goes(tmp_path: Path) -> None:
    """The file's copies are in conflict, not the near-duplicate, which has the label of one of them."""
    source = write(tmp_path / "s" / "cat", a_png=png(picture(1)), z_png=png(picture(2)), y_jpg=jpeg(picture(3), 90))
    write(tmp_path / "s" / "dog", a_png=png(picture(1)), b_jpg=jpeg(picture(1), 80), y_jpg=jpeg(picture(3), 60))
    ledger, _ = judge(Duplicates(), tmp_path / "out", source.parent)
    reasons = gone(ledger)
    assert len(reasons) == 2 and reasons["dog/b.jpg"].startswith("near-duplicate of")
    assert not {"cat/y.jpg", "dog/y.jpg"} & set(reasons)  # near, of different classes and without copies: both stay


@settings(deadline=None)
@given(st.lists(st.integers(0, 40)), st.lists(st.integers(0, 40), min_size=1))
def test_looking_up_in_what_is_sorted_is_looking_for_each(values: list[int], known: list[int]) -> None:
    found = among(np.array(values, dtype=np.int64), np.unique(known))
    assert found.tolist() == [value in known for value in values]


def test_a_generated_image_goes_for_a_real_one_of_another_class(tmp_path: Path) -> None:
    source = write(tmp_path / "s" / "cat", a_png=png(picture(1)))
    write(tmp_path / "s" / "dog", b_jpg=jpeg(picture(1), 80), c_png=png(picture(2)))
    change = synthetic_of("c.png", "b.jpg")
    ledger, _ = judge(Duplicates(), tmp_path / "out", source.parent, change=change)
    assert set(gone(ledger)) == {"dog/b.jpg"} and "which is labelled 'cat', which is real" in gone(ledger)["dog/b.jpg"]


def test_what_leaks_goes_whatever_its_label(tmp_path: Path) -> None:
    write(tmp_path / "s" / "train" / "cat", a_png=png(picture(1)), c_png=png(picture(2)))
    write(tmp_path / "s" / "test" / "dog", b_jpg=jpeg(picture(1), 80))
    ledger, _ = judge(Duplicates(), tmp_path / "out", tmp_path / "s")
    assert set(gone(ledger)) == {"train/cat/a.png"}
    assert gone(ledger)["train/cat/a.png"].startswith("leakage: near-duplicate of")


def test_no_conflicts_say_nothing(source: Path, tmp_path: Path) -> None:
    said = Said()
    ledger, _ = judge(Duplicates(), tmp_path / "out", source, progress=said)
    assert "label-conflict" not in ledger.scores and not any("conflict" in line for line in said.lines)


def test_what_is_near_a_reference_goes_and_the_file_is_named(source: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", x_jpg=jpeg(picture(2), 80), y_png=png(picture(3)), z_png=png(picture(99)))
    stage = Duplicates(against=str(other))
    ledger, did = judge(stage, tmp_path / "out", source)
    found = gone(ledger)
    assert "leakage: near-duplicate of" in found["stranger-2.png"] and "x.jpg" in found["stranger-2.png"]
    assert found["stranger-3.png"] == f"leakage: exact copy of folder {other}: y.png"
    assert len(ledger) == 11 and did["measured"] == 10 + 2 + 3  # two pictures to look at, three files to read
    assert judge(stage, tmp_path / "out", source, progress=Silent())[1]["measured"] == 0
    with pytest.raises(SourceError):
        Duplicates(against=str(tmp_path / "nowhere")).check()


@pytest.mark.parametrize("by", ["exact", "hash"])
def test_an_evaluation_image_never_goes_for_one_of_training(tmp_path: Path, by: str) -> None:
    first = picture(1, 240, 192)
    write(tmp_path / "s" / "train" / "cat", a_png=png(first), b_png=png(first))
    write(tmp_path / "s" / "test" / "cat", t_png=png(first), u_png=png(first))
    write(tmp_path / "s" / "test" / "cat", v_jpg=jpeg(first.resize((100, 80)), 70))
    ledger, _ = judge(Duplicates(by=by), tmp_path / "out", tmp_path / "s")
    found = gone(ledger)
    assert {name.split("/")[0] for name in found} == {"train"} and len(found) == 2
    assert all(reason.startswith("leakage: exact copy of") for reason in found.values())


def synthetic_of(parent: str, child: str):
    """Makes the file `child` a synthetic sample whose parent is the file `parent`."""

    def change(samples: list[Sample]) -> list[Sample]:
        (mother,) = [s for s in samples if str(s.source).endswith(parent)]
        made = {"origin": "synthetic", "parents": (mother.id,)}
        return [replace(s, **made) if str(s.source).endswith(child) else s for s in samples]

    return change


def test_a_memorised_parent(source: Path, tmp_path: Path) -> None:
    change = synthetic_of("stranger-2.png", "copied.jpg")
    write(source, copied_jpg=jpeg(picture(2, 400, 320), 80))  # larger than its parent, and yet it goes
    ledger, _ = judge(Duplicates(), tmp_path / "out", source, change=change)
    parent = ids(ledger)["stranger-2.png"][:8]
    assert gone(ledger)["copied.jpg"].startswith(f"memorised: near-copy of its parent {parent} (")
    free, _ = judge(Duplicates(parents=False), tmp_path / "out", source, change=change)
    assert "copied.jpg" not in gone(free) and "stranger-2.png" not in gone(free)


def test_real_stays_before_synthetic_and_others_are_spared(source: Path, tmp_path: Path) -> None:
    change = synthetic_of("stranger-3.png", "huge.jpg")
    write(source, huge_jpg=jpeg(picture(2, 400, 320), 80))
    ledger, _ = judge(Duplicates(), tmp_path / "out", source, change=change)
    assert "huge.jpg" in gone(ledger) and "stranger-2.png" not in gone(ledger)
    assert ", which is real, cluster " in gone(ledger)["huge.jpg"]
    only, _ = judge(Duplicates(on="synthetic"), tmp_path / "out", source, change=change)
    assert set(gone(only)) == {"huge.jpg"}
    reals, _ = judge(Duplicates(on="real"), tmp_path / "out", source, change=change)
    assert "huge.jpg" not in gone(reals) and ", which is spared by `on`, cluster " in gone(reals)["stranger-2.png"]


BETTER = {
    "more pixels": (lambda image: jpeg(image, 60), lambda image: jpeg(image.resize((150, 120)), 95)),
    "less compressed": (lambda image: jpeg(image, 90), lambda image: jpeg(image, 25)),
    "less compressed, without loss": (lambda image: png(image), lambda image: jpeg(image, 90)),
}
"""The better and the worse file of a picture, by how one is better."""


@pytest.mark.parametrize("way", BETTER)
def test_the_better_copy_stays_and_the_reason_says_why(tmp_path: Path, way: str) -> None:
    """Twelve pairs; by the id alone, the wrong variant here, about half of them would keep the worse one."""
    better, worse = BETTER[way]
    files = {f"good-{seed}_img": better(picture(seed)) for seed in range(12)}
    files |= {f"poor-{seed}_img": worse(picture(seed)) for seed in range(12)}
    folder = write(tmp_path / "source", **{name.replace("_img", "_jpg"): data for name, data in files.items()})
    ledger, _ = judge(Duplicates(), tmp_path / "out", folder)
    found, names = gone(ledger), ids(ledger)
    assert set(found) == {f"poor-{seed}.jpg" for seed in range(12)}
    why = "which has more pixels" if way == "more pixels" else "which is less compressed"
    assert all(f", {why}, cluster " in reason for reason in found.values())
    assert 0 < sum(names[f"poor-{seed}.jpg"] < names[f"good-{seed}.jpg"] for seed in range(12)) < 12


@pytest.mark.parametrize("beyond", [2 << 30, 0])
def test_crops_need_embeddings(beyond: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the vectors are read as a whole, or by rows as where they are too many for the memory."""
    monkeypatch.setattr("augforge.engine.runners.duplicates.BEYOND", beyond)
    first = picture(1, 240, 200)
    cropped = first.crop((30, 4, 30 + 204, 4 + 170))  # 15 % off each side, off centre
    write(
        tmp_path / "s", a_png=png(first), crop_png=png(cropped), **{f"s{k}_png": png(picture(k)) for k in range(2, 30)}
    )
    assert not gone(judge(Duplicates(), tmp_path / "out", tmp_path / "s")[0])
    ledger, did = judge(Duplicates(by="embedding"), tmp_path / "out", tmp_path / "s")
    assert set(gone(ledger)) == {"crop.png"} and "(overlap 0." in gone(ledger)["crop.png"]
    assert did["measured"] == 30
    other = write(tmp_path / "other", b_png=png(first))
    (tmp_path / "s" / "a.png").unlink()
    leaked, _ = judge(Duplicates(by="embedding", against=str(other)), tmp_path / "out", tmp_path / "s")
    assert set(gone(leaked)) == {"crop.png"} and "b.png" in gone(leaked)["crop.png"]


def test_plain_pictures_go_only_as_exact_copies(tmp_path: Path) -> None:
    plain = [Image.new("RGB", (40, 40), (k, k, k)) for k in (10, 11)]
    write(tmp_path / "s", a_png=png(plain[0]), b_png=png(plain[0]), c_png=png(plain[1]))
    for by in ("exact", "hash", "embedding"):
        found = gone(judge(Duplicates(by=by), tmp_path / "out", tmp_path / "s")[0])
        assert len(found) == 1 and "exact copy" in next(iter(found.values()))


def test_the_order_of_sources_does_not_matter(source: Path, tmp_path: Path) -> None:
    more = write(tmp_path / "more", p_jpg=jpeg(picture(4), 70), q_png=png(picture(1, 240, 192)))
    answers = []
    for name, sources in (("ab", (source, more)), ("ba", (more, source))):
        ledger, _ = judge(Duplicates(), tmp_path / name, *sources)
        answers.append(dict(zip(ledger.column("id"), ledger.dropped, strict=True)))
    assert answers[0] == answers[1] and sum(reason is not None for reason in answers[0].values()) == 6


def test_an_empty_crowd(tmp_path: Path) -> None:
    source = write(tmp_path / "s", a_png=png(picture(1)), b_txt=b"no image")
    for by in ("exact", "hash", "embedding"):
        ledger, _ = judge(Duplicates(by=by, on="synthetic"), tmp_path / "out", source)
        assert len(ledger.visible()) == 1
