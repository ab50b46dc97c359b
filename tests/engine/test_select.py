"""Selectors by a column of the source: logits that somebody else's model made."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value, load_from_disk
from datasets import Image as ImageFeature
from PIL import Image

from augforge.algorithms.selection import gradient_matching, softmax_residual
from augforge.engine.run import Summary, run
from augforge.errors import AugforgeError
from augforge.recipe import parse_recipe

CLASSES = ["ant", "bee"]
LABELS = [row % 2 for row in range(20)]


def pictures() -> list[bytes]:
    drawn = []
    for seed in range(20):
        out = io.BytesIO()
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(out, "PNG")
        drawn.append(out.getvalue())
    return drawn


def logits(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(20, 2)).astype(np.float32)


def data(column: object, kind: object = None) -> Dataset:
    features = {
        "image": ImageFeature(),
        "label": ClassLabel(names=CLASSES),
        "z": kind or Sequence(Value("float32"), length=2),
    }
    rows = {"image": [{"bytes": b, "path": None} for b in pictures()], "label": LABELS, "z": list(column)}
    return Dataset.from_dict(rows, features=Features(features))


def write(kind: str, folder: Path, column: object) -> str:
    folder.mkdir(exist_ok=True)
    if kind == "dataset":
        data(column).save_to_disk(str(folder / "data"))
        return f"dataset: {folder / 'data'}"
    data(column).to_parquet(str(folder / "data.parquet"), batch_size=7)
    return f"parquet: {folder / 'data.parquet'}"


def select(source: str, out: Path, stage: str) -> Summary:
    return run(parse_recipe(f"source: {{{source}}}\nstages:\n  - {stage}\n"), out)


def chosen(out: Path) -> set[bytes]:
    from datasets import Image as Feature

    rows = load_from_disk(str(out / "dataset")).cast_column("image", Feature(decode=False))
    return {row["image"]["bytes"] for row in rows}


@pytest.mark.parametrize("kind", ["dataset", "parquet"])
def test_the_largest_losses_by_a_column(kind: str, tmp_path: Path) -> None:
    select(write(kind, tmp_path, logits()), tmp_path / "out", "{select: max-loss, logits: z, count: 6}")
    z = logits().astype(float)
    loss = np.log(np.exp(z).sum(axis=1)) - z[np.arange(20), LABELS]
    expected = {row for c in (0, 1) for row in sorted(range(c, 20, 2), key=lambda row: -loss[row])[:3]}
    assert chosen(tmp_path / "out") == {pictures()[row] for row in expected}


def test_a_column_that_changed_is_chosen_by_again_and_one_that_did_not_is_not(tmp_path: Path) -> None:
    stage = "{select: max-loss, logits: z, count: 6}"
    source, out = write("parquet", tmp_path, logits()), tmp_path / "out"
    select(source, out, stage)
    before = chosen(out)
    assert select(source, out, stage).up_to_date
    write("parquet", tmp_path, logits(1))
    assert not select(source, out, stage).up_to_date
    assert chosen(out) != before


def test_what_stands_for_gradients_by_a_column(tmp_path: Path) -> None:
    stage = "{select: facility-location, proxy: softmax-residual, logits: z, count: 6}"
    assert select(write("parquet", tmp_path, logits()), tmp_path / "out", stage).kept == 6


def test_the_weights_of_gradient_matching_are_those_of_the_samples(tmp_path: Path) -> None:
    stage = "{select: gradient-matching, proxy: softmax-residual, logits: z, count: 6}"
    out = tmp_path / "out"
    assert select(write("parquet", tmp_path, logits()), out, stage).kept == 6
    residuals = softmax_residual(logits(), LABELS)
    expected = gradient_matching(residuals, 6, labels=LABELS)
    assert sorted(load_from_disk(str(out / "dataset"))["weight"]) == pytest.approx(sorted(expected.weights))
    assert chosen(out) == {pictures()[row] for row in expected.indices} and np.ptp(expected.weights) > 0.01


def test_hardness_is_nothing_where_both_columns_are_the_same(tmp_path: Path) -> None:
    source = write("dataset", tmp_path, logits())
    stage = "{select: hardness, teacher-logits: z, student-logits: z, count: 4}"
    assert select(source, tmp_path / "out", stage).kept == 4


def test_what_a_column_lacks_is_said(tmp_path: Path) -> None:
    source = write("parquet", tmp_path, logits())
    with pytest.raises(AugforgeError, match="has no column 'q'") as error:
        select(source, tmp_path / "a", "{select: max-loss, logits: q, count: 6}")
    assert "image, label, z" in (error.value.hint or "")
    with pytest.raises(AugforgeError, match="holds no lists of numbers but int64"):
        select(source, tmp_path / "b", "{select: max-loss, logits: label, count: 6}")
    table = pq.read_table(tmp_path / "data.parquet")
    short = pa.array([[0.0]] + [[0.0, 1.0]] * 18 + [None], pa.list_(pa.float32()))
    pq.write_table(table.set_column(2, "z", short), tmp_path / "data.parquet")
    with pytest.raises(AugforgeError, match="2 of 20 images have no usable 'z'"):
        select(source, tmp_path / "c", "{select: max-loss, logits: z, count: 6}")


def test_a_folder_has_no_columns(tmp_path: Path) -> None:
    (tmp_path / "src" / "ant").mkdir(parents=True)
    (tmp_path / "src" / "ant" / "a.png").write_bytes(pictures()[0])
    with pytest.raises(AugforgeError, match="has no column 'z'"):
        select(f"folder: {tmp_path / 'src'}", tmp_path / "out", "{select: max-loss, logits: z, count: 1}")


def test_the_certificate_is_in_the_run_folder_and_on_the_card(tmp_path: Path) -> None:
    out = tmp_path / "out"
    stage = "{select: facility-location, proxy: softmax-residual, logits: z, count: 6}"
    select(write("parquet", tmp_path, np.random.default_rng(0).normal(size=(20, 2))), out, stage)
    found = json.loads((out / "certificates.json").read_text())["1-select-facility-location"]
    assert found["random"] <= found["objective"] <= found["upper-bound"]
    assert found["curve"]["budget"][-1] == 6
    card = (out / "README.md").read_text()
    assert f"{found['objective']:,.2f}" in card and f"{found['upper-bound']:,.2f}" in card


def test_embeddings_that_are_read_by_rows(tmp_path: Path) -> None:
    """Chosen from where they are stored, the choice is as good, and its certificate says how it was made."""
    source = write("dataset", tmp_path / "s", logits().tolist())
    certificates = {}
    for method in ("dense", "distributed"):
        stage = f"{{select: facility-location, method: {method}, count: 6}}"
        summary = select(source, tmp_path / method, stage)
        assert summary.kept == 6
        found = json.loads((tmp_path / method / "certificates.json").read_text())
        certificates[method] = found["1-select-facility-location"]
    assert certificates["distributed"]["method"] == "distributed"
    assert certificates["distributed"]["objective"] >= 0.95 * certificates["dense"]["objective"]
