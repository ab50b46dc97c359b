"""Triplets: targets within the window of ranks, hard negatives, and words that say what changes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_from_disk
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from augforge.cli.app import app
from augforge.data.likeness import Likeness
from augforge.data.pool import Pool, Pools
from augforge.data.sample import Sample
from augforge.errors import RecipeError
from augforge.recipe import build_stage
from augforge.stages.generators.triplets import Triplets


def images(count: int, seed: int = 0, copies: int = 0) -> tuple[list[Sample], Likeness]:
    """Some images with vectors of unit length; the first `copies` have the bytes of the last one."""
    vectors = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    samples = [
        Sample(f"{n:020x}", "ab"[n % 2], digest=str(count - 1 if n < copies else n), width=8, height=8)
        for n in range(count)
    ]
    return samples, Likeness([sample.id for sample in samples], vectors)


def drawn(stage: Triplets, samples: list[Sample], likeness: Likeness, parent: Sample, seed: int = 1):
    return stage.draw(parent.label, parent, Pools({None: Pool(samples)}, likeness), 0, seed)


@given(seed=st.integers(0, 99), nearest=st.integers(1, 6), width=st.integers(0, 5), row=st.integers(0, 19))
def test_a_target_is_of_a_rank_in_the_window_by_brute_force(seed, nearest, width, row):
    samples, likeness = images(20, seed)
    stage = Triplets(nearest=nearest, farthest=nearest + width)
    (parent, target), said = drawn(stage, samples, likeness, samples[row], seed)
    similar = likeness._vectors @ likeness._vectors[row]
    closer = sum(similar[n] > similar[samples.index(target)] for n in range(20) if n != row)
    assert parent is samples[row] and target is not parent
    assert said["rank"] == closer + 1 and nearest <= said["rank"] <= nearest + width


def test_the_wrong_variant_a_random_pair_leaves_the_window():
    samples, likeness = images(60)
    outside = 0
    for row in range(60):
        partner = Pool(samples).partner(samples[row], 0)
        ranks = [identity for identity, _ in likeness.ranked(samples[row].id)]
        outside += not 5 <= ranks.index(partner.id) + 1 <= 10
    assert outside > 30


def test_hard_negatives_are_the_images_nearest_to_the_target_but_the_reference():
    samples, likeness = images(30)
    (parent, target), said = drawn(Triplets(nearest=1, farthest=5, negatives=6), samples, likeness, samples[3])
    ranked = [identity for identity, _ in likeness.ranked(target.id) if identity != parent.id]
    assert said["negatives"] == ranked[:6] and target.id not in said["negatives"]


def test_an_image_with_the_same_bytes_is_no_other():
    samples, likeness = images(12, copies=5)
    for seed in range(20):
        (parent, target), said = drawn(
            Triplets(nearest=1, farthest=99, negatives=99), samples, likeness, samples[11], seed
        )
        assert target.digest != parent.digest
        digests = [next(s.digest for s in samples if s.id == identity) for identity in said["negatives"]]
        assert len(set(digests)) == len(digests) and target.digest not in digests


def test_an_image_that_cannot_be_compared_is_in_no_triplet():
    samples, _ = images(6)
    vectors = np.eye(6, dtype=np.float32)
    vectors[2] = np.nan
    likeness = Likeness([sample.id for sample in samples], vectors)
    assert samples[2].id not in likeness and len(likeness.ranked(samples[0].id)) == 4
    parents, _ = drawn(Triplets(nearest=1, farthest=9), samples, likeness, samples[2])
    assert parents == [samples[2]]


def test_words_of_several_labels_name_all_of_them():
    from augforge.stages.generators.triplets import _sentence, _words

    both = Sample("x", None, annotations={"labels": ["traffic_light", "car"]})
    assert _words(both) == "a traffic light and a car" and _words(Sample("y", "car")) == "a car"
    assert _sentence("{reference} {target}", "a car", "a car") == "another one of a car"


def test_a_window_that_ends_before_it_begins_is_refused():
    with pytest.raises(RecipeError, match="farthest"):
        build_stage("generate", "triplets", {"nearest": 5, "farthest": 4})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Triplets of captioned images in two splits."""
    folder = tmp_path_factory.mktemp("captioned")
    lines = ["file_name,label,caption,split"]
    for number in range(16):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]},a picture of {number},{'test' if number > 11 else 'train'}")
    (folder / "metadata.csv").write_text("\n".join(lines))
    out = tmp_path_factory.mktemp("run") / "out"
    command = ["generate", "triplets", str(folder), "--nearest", "2", "--farthest", "5", "--out", str(out)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    return out


def test_a_row_is_a_triplet_that_stands_by_itself(made):
    rows = {row["id"]: row for row in pq.read_table(made / "samples.parquet").to_pylist()}
    parts = load_from_disk(str(made / "dataset"))
    triplets = [row for row in parts["train"] if row["origin"] == "synthetic"]
    assert len(triplets) == 12
    for row in triplets:
        reference, target = (rows[parent] for parent in rows[row["id"]]["parents"])
        assert reference["split"] == target["split"] == "train" and row["extra"]["target"] == target["id"]
        for cell, parent in ((row["image"], reference), (row["target"], target)):
            source = made_from(parent)
            assert (np.asarray(cell) == np.asarray(source)).all()
        number = [parent["source"].rpartition(" ")[2].removesuffix(".png") for parent in (reference, target)]
        assert all(f"a picture of {n}" in row["caption"] for n in number)
        assert all(rows[identity]["split"] == "train" for identity in row["extra"]["negatives"])


def made_from(row: dict) -> Image.Image:
    folder, _, name = row["source"].partition(" ")[2].rpartition(": ")
    return Image.open(io.BytesIO(Path(folder, name).read_bytes())).convert("RGB")
