"""A run folder opened in Python: what it holds, how it shows itself, and that strangers' texts stay texts."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import augforge
from augforge.api.shown import MOST, Rows, table
from augforge.data.images import digest
from tests.conftest import write_images

EVIL = "<img src=x onerror=alert(1)>\u202e"
SHARP = {"filter": "sharpness", "keep": 0.5, "on": "all"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> augforge.Run:
    """11 real images of three classes, one with a name to be wary of, and 2 synthetic ones of each; half are kept."""
    folder = tmp_path_factory.mktemp("api")
    source = write_images(folder / "pictures", {"cat": 6, EVIL: 4, "lone": 1})
    stages = [{"generate": "shifts", "fold": 1, "per-class": 2}, SHARP]
    return augforge.Recipe(source, stages, name="three").run(folder / "out", device="cpu")


class Tags(HTMLParser):
    """Collects the names and attributes of all tags, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.said = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.said += data


def test_its_parts_agree(run: augforge.Run) -> None:
    rows = run.ledger
    splits, kept_ones = (rows.column(name).to_pylist() for name in ("split", "kept"))
    kept = sum(kept_ones)
    assert rows.num_rows == 17 and 0 < kept < 17
    held_out = [split for split, is_kept in zip(splits, kept_ones, strict=True) if is_kept and split]
    data = run.dataset
    assert held_out and data.num_rows == {"train": kept - len(held_out), "validation": len(held_out)}
    assert kept == run.summary.kept == run.lock["result"]["kept"]
    assert {identity for part in data.values() for identity in part["id"]} == set(
        rows.filter(rows.column("kept")).column("id").to_pylist()
    )
    assert sorted(run.classes) == sorted(["cat", EVIL, "lone"])


def test_it_is_opened_again(run: augforge.Run) -> None:
    again = augforge.Run(str(run.folder))
    assert again.summary.kept == run.summary.kept and again.summary.reasons == run.summary.reasons
    assert run.summary.work and not run.summary.up_to_date and again.summary.up_to_date


def test_what_is_no_run_is_refused(tmp_path: Path, run: augforge.Run) -> None:
    with pytest.raises(augforge.AugforgeError, match="is no run folder"):
        augforge.Run(tmp_path)
    shutil.copy(run.folder / "samples.parquet", tmp_path)
    unfinished = augforge.Run(tmp_path)
    assert unfinished.ledger.num_rows == 17
    for name in ("summary", "dataset", "lock"):
        with pytest.raises(augforge.AugforgeError, match=r"no finished result|is missing or unfinished|there is no"):
            getattr(unfinished, name)
    (tmp_path / "run.json").write_text(json.dumps({"format": 2}))
    with pytest.raises(augforge.AugforgeError, match="was written in format 2"):
        augforge.Run(tmp_path)
    (tmp_path / "run.json").unlink()
    (tmp_path / "samples.parquet").write_bytes(b"PAR1")
    with pytest.raises(augforge.AugforgeError, match="cannot be read"):
        _ = augforge.Run(tmp_path).ledger


def test_it_reads_the_folder_anew(pictures: Path, tmp_path: Path) -> None:
    run = augforge.Recipe(pictures, [SHARP]).run(tmp_path / "out")
    before = run.dataset.num_rows
    augforge.Recipe(pictures, [{**SHARP, "keep": 1.0}]).run(tmp_path / "out")
    assert before < run.dataset.num_rows == 11 and "11 images kept" in repr(run)


@pytest.mark.parametrize("kept", [True, False, None])
@pytest.mark.parametrize("origin", ["real", "synthetic", None])
@pytest.mark.parametrize("label", ["cat", EVIL, None])
def test_images_are_those_of_the_ledger(
    run: augforge.Run, label: str | None, kept: bool | None, origin: str | None
) -> None:
    wanted = [
        row["id"]
        for row in run.ledger.to_pylist()
        if label in (None, row["label"]) and kept in (None, row["kept"]) and origin in (None, row["origin"])
    ]
    found = run.images(label, kept=kept, origin=origin)
    assert [image.id for image in found] == wanted and len(found) == len(wanted)
    for image in found:
        assert digest(image.data) == image.sample.digest  # dropped ones too: from the source, or what was generated
        size = (image.sample.width, image.sample.height)
        assert image.image.size == size and image.image.mode == "RGB" and image.pictures == {}
        assert (image.dropped is None) == image.kept


def test_images_can_be_sliced(run: augforge.Run) -> None:
    found = run.images("cat", kept=None)
    assert [image.id for image in found[1:3]] == [found[1].id, found[2].id] and found[-1].id == list(found)[-1].id


def test_an_unknown_class_is_named(run: augforge.Run) -> None:
    with pytest.raises(augforge.AugforgeError, match="there is no class 'cta'") as caught:
        run.images("cta")
    assert caught.value.hint == "did you mean 'cat'?"
    with pytest.raises(augforge.AugforgeError, match="there is no origin 'made'"):
        run.images("cat", origin="made")


def test_bytes_that_are_gone_are_said_to_be(tmp_path: Path, pictures: Path) -> None:
    run = augforge.Recipe(pictures, [SHARP]).run(tmp_path / "out")
    gone = run.images(kept=False)
    for path in pictures.rglob("*.png"):
        path.unlink()
    with pytest.raises(augforge.AugforgeError):
        _ = gone[0].data
    assert "<em>" in gone._repr_html_() and run.images()[0].image.size == (32, 32)


def test_the_whole_life_of_an_image(run: augforge.Run) -> None:
    image = run.images("cat", kept=None, origin="synthetic")[0]
    life = run.why(image.id[:12])
    assert life.row["id"] == image.id and life.parents[0].row["source"].endswith(".png")
    with pytest.raises(augforge.AugforgeError, match="no sample"):
        run.why("nothing")


def test_an_image_is_made_again(run: augforge.Run) -> None:
    image = run.images("cat", kept=None, origin="synthetic")[0]
    again = run.regenerate(image.id)
    assert again.same and again.equal and again.data == image.data
    assert np.array_equal(np.asarray(again.image), np.asarray(image.image))
    assert "equal to the byte" in repr(again) and again._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(augforge.AugforgeError, match="is a real image"):
        run.regenerate(run.images("cat", kept=None, origin="real")[0].id)


def test_scores_reports_and_checks(run: augforge.Run, tmp_path: Path) -> None:
    (measure,) = run.thresholds(["sharpness"])
    assert measure.name == "sharpness" and measure.groups[0].count == 17
    assert "<th>measure</th>" in run.thresholds()._repr_html_()
    assert any(cut.value == 3 for cut in run.thresholds(minimums=[3])[0].groups[0].cuts)
    written = run.report(tmp_path / "r.html", png=tmp_path / "png", megabytes=2)
    assert Path(written.path) == tmp_path / "r.html" and written.samples == 17 and written.figures
    assert run.verify(sample=2).sound


def test_a_difference_is_that_of_the_command(run: augforge.Run, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "copy")
    assert run.diff(tmp_path / "copy").changes == run.diff(augforge.Run(tmp_path / "copy")).changes == ()


def test_an_export_keeps_its_marks(run: augforge.Run, tmp_path: Path) -> None:
    done = run.export("folder", tmp_path / "export", license="CC-BY-4.0", creator="me", private_sources=True)
    assert done.rows == run.summary.kept and done.marked == done.synthetic
    assert augforge.check_marks(tmp_path / "export").lost == ()
    assert "CC-BY-4.0" in (tmp_path / "export" / "croissant.json").read_text()
    unmarked = run.export("folder", tmp_path / "plain", mark=False)
    assert unmarked.marked == 0 and len(augforge.check_marks(tmp_path / "plain").lost) == unmarked.synthetic
    with pytest.raises(augforge.AugforgeError, match="needs a certificate"):
        run.export("folder", tmp_path / "signed", sign=True)


def test_settings_of_an_evaluation_are_checked_first(run: augforge.Run) -> None:
    with pytest.raises(augforge.AugforgeError, match="evaluate has no setting 'sedes'") as caught:
        run.evaluate("sample:digits", sedes=3)
    assert caught.value.hint == "did you mean 'seeds'?"
    for wrong in (
        {"batch": 3},
        {"arms": ["synthetic"]},
        {"shots": 0},
        {"shots": [0, 1]},
        {"learner": "probe", "mix": "mixup"},
    ):
        with pytest.raises(augforge.AugforgeError):
            run.evaluate("sample:digits", **wrong)


def test_an_evaluation_is_what_its_file_holds(tmp_path: Path) -> None:
    run = augforge.Recipe({"sample": "digits", "split": "train"}, [SHARP]).run(tmp_path / "out", limit=60)
    found = run.evaluate("sample:digits", test_split="test", seeds=2, steps=5, shots=1, arms="real", metrics=False)
    assert found == json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert found["shots"] == 1 and [arm["name"] for arm in found["arms"]] == ["real"]


# -- how it looks ---------------------------------------------------------------------------------------------


def test_it_shows_itself_as_a_table(run: augforge.Run) -> None:
    kept = run.summary.kept
    assert repr(run).startswith(f"<Run {str(run.folder)!r}: {kept} images kept (") and "3 classes" in repr(run)
    shown = Tags(run._repr_html_())
    assert shown.names == {"table", "caption", "tr", "th", "td"} and shown.attributes <= {"style"}
    assert "onerror=alert(1)>" in shown.said and "\u202e" not in shown.said


def test_the_grid_of_images_shows_texts_as_texts(run: augforge.Run) -> None:
    shown = Tags(run.images(kept=None)._repr_html_())
    assert shown.names == {"div", "img", "br", "code"} and shown.attributes == {"style", "src"}
    assert shown.said.count("onerror=alert(1)>") == 6 and "\u202e" not in shown.said


def test_a_page_without_escaping_is_found() -> None:
    assert "img" in Tags(f"<table><tr><td>{EVIL}</td></tr></table>").names


def test_the_grid_is_short(run: augforge.Run) -> None:
    many = run.images(kept=None)
    longer = type(many)([*many, *many])
    assert longer._repr_html_().count("<img") == 24 and "and 10 more" in longer._repr_html_()


def test_what_a_report_withholds_is_withheld(run: augforge.Run) -> None:
    found = run.images(kept=None)
    hidden = type(found)(list(found), [found[0].id])
    assert hidden._repr_html_().count("<em>withheld</em>") == 1 and hidden[0].image.size == (32, 32)


def test_flagged_images_are_withheld(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from augforge.report import withheld

    run = augforge.Recipe(pictures, [SHARP]).run(tmp_path / "out")
    flags = np.arange(11) < 2
    monkeypatch.setattr(withheld, "withheld", lambda rows: (flags, ~flags & (np.arange(11) < 3)))
    assert run.images(kept=None)._repr_html_().count("<em>withheld</em>") == 3


def test_long_tables_are_cut() -> None:
    shown = table(["n"], [[n] for n in range(MOST + 5)])
    assert "and 5 more" in shown and shown.count("<tr>") == MOST + 2


def test_numbers_and_nothing() -> None:
    assert "1,234" in table(["n"], [[1234]]) and "0.1235" in table(["n"], [[0.123456]])
    assert "True" in table(["n"], [[True]]) and "<td></td>" in table(["n"], [[None]])
    assert "nothing" in Rows([], dict)._repr_html_()
