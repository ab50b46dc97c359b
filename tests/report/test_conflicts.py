"""The report names what looks the same and is labelled differently."""

from __future__ import annotations

from pathlib import Path

from augforge.engine.run import run
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.report.collect import collect
from tests.algorithms.duplicates.pictures import jpeg, picture, png


def test_a_conflict_is_in_the_notes_and_none_says_nothing(tmp_path: Path) -> None:
    for label, data in {"cat": png(picture(1)), "dog": jpeg(picture(1), 80), "fox": png(picture(2))}.items():
        (tmp_path / "s" / label).mkdir(parents=True)
        (tmp_path / "s" / label / "a.img").with_suffix(".png" if data[:1] == b"\x89" else ".jpg").write_bytes(data)
    for within, count in (("all", 1), ("class", 0)):
        stage = build_stage("filter", "duplicates", {"within": within})
        run(Recipe("r", 0, (SourceSpec("folder", str(tmp_path / "s")),), (stage,)), tmp_path / within)
        notes = [note for note in collect(tmp_path / within).notes if "label conflict" in note]
        assert len(notes) == count
    (note,) = [note for note in collect(tmp_path / "all").notes if "label conflict" in note]
    assert note.startswith("1 label conflict: ") and "cat/a.png (cat)" in note and "dog/a.jpg (dog)" in note
