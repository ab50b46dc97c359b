"""Outputs that would touch their own sources, and runs that go in a circle."""

from __future__ import annotations

from pathlib import Path

import pytest

from augforge.engine.run import run
from augforge.errors import StoreError
from augforge.evaluate.folder import RunFolder
from augforge.provenance.chain import circle, refuse_overlap, relation_of, runs_before
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.reproduce.remake import Archive
from augforge.reproduce.verify import verify

SHARPNESS = build_stage("filter", "sharpness", {"min": 0})


def recipe(kind: str, source: Path | str, name: str = "sharp") -> Recipe:
    return Recipe(name, 1, (SourceSpec(kind, str(source)),), (SHARPNESS,))


def made(tmp_path: Path, pictures: Path, count: int = 1) -> list[Path]:
    """Runs r0, r1, … each made from the one before, the first one from pictures."""
    folders = [tmp_path / f"r{number}" for number in range(count)]
    for number, folder in enumerate(folders):
        run(recipe("run" if number else "folder", folders[number - 1] if number else pictures), folder)
    return folders


def rewire(folder: Path, source: Path) -> None:
    """Let the recipe of a run say that it was made from `source`, as an earlier augforge would have written it."""
    from dataclasses import replace

    from augforge.recipe import load_recipe

    path = folder / "recipe.yaml"
    path.write_text(replace(load_recipe(path), sources=(SourceSpec("run", str(source)),)).yaml())


@pytest.mark.parametrize(
    ("out", "source", "relation"),
    [
        ("a", "a", "same"),
        ("a/", "./a", "same"),
        ("b/../a", "a", "same"),
        ("link", "a", "same"),
        ("a", "link", "same"),
        ("a/new/deeper", "a", "inside"),
        ("link/new", "a", "inside"),
        ("a", "a/inner/x.parquet", "around"),
        ("link", "a/inner", "around"),
        ("ab", "a", ""),  # a name that begins alike is another folder
        ("a/inner/new", "a/inner/x.parquet", ""),
        ("new", "missing", ""),
        ("b", "a", ""),
    ],
)
def test_how_an_output_lies_to_a_source(tmp_path, monkeypatch, out, source, relation):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a" / "inner").mkdir(parents=True)
    (tmp_path / "a" / "inner" / "x.parquet").write_bytes(b"x")
    (tmp_path / "b").mkdir()
    (tmp_path / "link").symlink_to("a")
    assert relation_of(Path(out), Path(source)) == relation
    if relation:
        with pytest.raises(StoreError, match="source"):
            refuse_overlap(Path(out), [Path("b/x"), Path(source)])
    else:
        refuse_overlap(Path(out), [Path(source)])


def test_a_run_is_not_its_own_source(tmp_path, pictures):
    (first,) = made(tmp_path, pictures)
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    (tmp_path / "link").symlink_to(first)
    for kind, source, out in (
        ("run", first, first),
        ("run", tmp_path / "link", first),
        ("run", first, tmp_path / "link"),
        ("run", first, first / "inner"),
        ("dataset", first / "dataset", first),
        ("folder", pictures, pictures / "run"),
    ):
        with pytest.raises(StoreError, match="source") as caught:
            run(recipe(kind, source), out)
        assert "choose another --out" in caught.value.hint
    assert before == {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    assert not (pictures / "run").exists()


def test_the_images_to_compare_with_and_masks_are_sources_too(tmp_path, pictures):
    (first,) = made(tmp_path, pictures)
    stage = build_stage("filter", "duplicates", {"against": str(first)})
    with pytest.raises(StoreError, match="is its own source"):
        run(Recipe("d", 1, (SourceSpec("folder", str(pictures)),), (stage,)), first, replace=True)
    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "0000.png").write_bytes((pictures / "cat" / "0000.png").read_bytes())
    with pytest.raises(StoreError, match="lies in its source"):
        run(Recipe("m", 1, (SourceSpec("folder", str(pictures), {"masks": str(masks)}),), ()), masks / "out")


def test_longer_circles_are_refused_too(tmp_path, pictures):
    first, second, third = made(tmp_path, pictures, 3)
    assert runs_before(third) == [second] and runs_before(first) == [] and circle(third) == []
    for source in (third, third / "dataset", second):
        kind = "dataset" if source.name == "dataset" else "run"
        with pytest.raises(StoreError, match=r"r0 is made from .*is made from .*r0: runs would go in a circle"):
            run(recipe(kind, source), first, replace=True)
    run(recipe("run", second), third)  # again: it only goes on


def test_a_circle_that_is_there_is_found_and_nothing_recurses(tmp_path, pictures, monkeypatch):
    first, second, third = made(tmp_path, pictures, 3)
    rewire(first, third)
    monkeypatch.chdir(tmp_path)
    for folder in (first, second, third):
        (finding,) = [found for found in verify(folder).findings if "circle" in found.what]
        assert finding.where == "recipe.yaml" and "r0 is made from r2" in finding.what
        with pytest.raises(StoreError, match="is made from"):
            RunFolder(folder).stages()
    with pytest.raises(StoreError, match="runs would go in a circle"):
        run(recipe("run", third), tmp_path / "new")
    rewire(second, second)
    assert circle(second) == [second, second]


def test_what_no_run_of_a_circle_kept_is_gone_and_no_defect(tmp_path, pictures):
    from augforge.errors import BadImage

    strict = build_stage("filter", "sharpness", {"keep": 0.5})
    first, second = tmp_path / "r0", tmp_path / "r1"
    run(Recipe("a", 1, (SourceSpec("folder", str(pictures)),), (strict,)), first)
    run(recipe("run", first), second)
    archive = Archive(second)
    (dropped, *_) = [sample for sample in archive.ledger.samples(range_of(archive.ledger)) if not sample.kept]
    assert archive.bytes_of(dropped) == RunFolder(second).dropped(dropped.id)  # two steps back, from the file
    ids = _refs_to_ids(first)
    rewire(first, second)
    assert ids
    for ask in (lambda: Archive(second).bytes_of(dropped), lambda: RunFolder(second).dropped(dropped.id)):
        with pytest.raises(BadImage):
            ask()


def _refs_to_ids(folder: Path) -> list[str]:
    """Let every row of the ledger say that it came from a source by its id, as the rows of a run from a run do."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "samples.parquet"
    table = pq.read_table(path)
    ids = table.column("id").to_pylist()
    refs = pa.array([f"0:{identity}" for identity in ids]).cast(table.schema.field("ref").type)
    pq.write_table(table.set_column(table.schema.get_field_index("ref"), "ref", refs), path)
    (folder / "run.json").unlink()
    (folder / "parts").rename(folder / "parts-aside")
    return list(ids)


def range_of(ledger):
    import numpy as np

    return np.arange(len(ledger))


def test_a_chain_of_thousands_of_runs_is_no_recursion(tmp_path):
    for number in range(3000):
        folder = tmp_path / f"r{number}"
        folder.mkdir()
        (folder / "samples.parquet").touch()
        before = f"{{run: {tmp_path / f'r{number - 1}'}}}" if number else "{sample: digits}"
        (folder / "recipe.yaml").write_text(f"source: {before}\n")
    assert circle(tmp_path / "r2999") == []
    (tmp_path / "r0" / "recipe.yaml").write_text(f"source: {{run: {tmp_path / 'r2999'}}}\n")
    assert len(circle(tmp_path / "r2999")) == 3001


@pytest.mark.parametrize("text", ["", "[]", "source: 7", "source: [[], 3]", "source: {}", "a: [", "source: {run: }"])
def test_a_recipe_that_says_nothing_ends_the_chain(tmp_path, text):
    (tmp_path / "recipe.yaml").write_text(text)
    assert runs_before(tmp_path) == []
