"""The stage `degrade`: pairs, mined noise with its frames as parents, negatives, and smaller images."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from augforge.algorithms.degrade import apply_chain, mine, turn_patches
from augforge.data.ids import rng
from augforge.errors import RecipeError
from augforge.io import open_source
from augforge.recipe import build_stage
from tests.conftest import write_images
from tests.stages.generators.made import ledger, made_by, pixels_of


def write_frames(folder, deviation=3.0, count=4, size=(72, 80)):
    """A video of a still, dim wall with sensor noise."""
    folder.mkdir(parents=True)
    for number in range(count):
        values = 90 + rng(number, folder.name).normal(0, deviation, (*size, 3))
        Image.fromarray(np.rint(values).astype(np.uint8)).save(folder / f"{number:03d}.png")
    return folder.parent


def test_a_pair_is_the_image_and_what_its_row_made_of_it(tmp_path):
    rows = made_by("degrade", write_images(tmp_path / "set", {"cat": 4, "dog": 2}), tmp_path / "out")
    assert len(rows) == 6
    for row in rows:
        assert (pixels_of(row["target"]) == row["before"]).all()
        assert [step["step"] for step in row["drawn"]["chain"]] == ["blur", "resize", "noise", "jpeg"]
        assert (row["pixels"] == apply_chain(row["before"], row["drawn"]["chain"])).all()
        assert (row["pixels"] != row["before"]).any()


def test_severity_0_leaves_every_byte(tmp_path):
    rows = made_by("degrade", write_images(tmp_path / "set", {"cat": 3}), tmp_path / "out", severity=0, rounds=2)
    assert rows and all((row["pixels"] == row["before"]).all() for row in rows)


def test_a_smaller_image_is_of_its_target_cut_to_a_multiple(tmp_path):
    source = write_images(tmp_path / "set", {"cat": 3}, size=50)
    rows = made_by("degrade", source, tmp_path / "out", downscale=4, severity=0)
    for row in rows:
        target = pixels_of(row["target"])
        assert target.shape == (48, 48, 3) and row["pixels"].shape == (12, 12, 3)
        assert (target == row["before"][:48, :48]).all()
        means = target.reshape(12, 4, 12, 4, 3).mean(axis=(1, 3))
        assert np.abs(row["pixels"] - means).mean() < 4
    tiny = made_by("degrade", write_images(tmp_path / "tiny", {"cat": 2}, size=8), tmp_path / "none", downscale=16)
    assert tiny == []
    reasons = {row["dropped"] for row in ledger(tmp_path / "none").values() if row["origin"] == "synthetic"}
    assert reasons == {"its parent of 8x8 px would be under 2 px when 16 times smaller"}


def test_a_negative_has_the_pixels_of_its_image_in_turned_patches(tmp_path):
    rows = made_by("degrade", write_images(tmp_path / "set", {"cat": 3}), tmp_path / "out", negatives=0.5)
    for row in rows:
        negative, turned = pixels_of(row["negative"]), row["drawn"]["turned"]
        assert (negative == turn_patches(row["pixels"], turned["share"], rng(turned["seed"], "patches"))).all()
        assert (negative != row["pixels"]).any()
        assert sorted(map(tuple, negative.reshape(-1, 3))) == sorted(map(tuple, row["pixels"].reshape(-1, 3)))


def test_mined_noise_is_of_neighbouring_frames_which_are_parents(tmp_path):
    source = write_frames(tmp_path / "set" / "wall")
    write_frames(tmp_path / "set" / "hall", count=3)
    rows = made_by("degrade", source, tmp_path / "out", reader="video", steps="mined-noise", frames=3, severity=1)
    assert len(rows) == 7
    real = ledger(tmp_path / "out")
    for row in rows:
        parents = [real[parent["id"]] for parent in row["drawn"]["parents"]]
        frames = [parent["source"].rpartition("/")[2].partition("#") for parent in parents[1:]]
        assert 2 <= len(frames) <= 3 and len({video for video, _, _ in frames}) == 1
        numbers = [int(number.partition(".")[0]) for _, _, number in frames]
        assert numbers == sorted(numbers) and row["drawn"]["noise-windows"] == 1
        noise = row["pixels"].astype(float) - row["before"]
        strength = row["drawn"]["chain"][0]["strength"]
        assert abs(noise.std() / (3 * strength) - 1) < 0.1


def test_frames_without_a_flat_window_add_nothing_and_the_row_says_so(tmp_path):
    source = write_images(tmp_path / "set", {"cat": 3})
    rows = made_by("degrade", source, tmp_path / "out", steps="mined-noise", window=32, severity=1)
    for row in rows:
        flat = len(mine([row["before"]]))
        assert row["drawn"]["noise-windows"] == flat == 0 and (row["pixels"] == row["before"]).all()


def test_no_frame_of_an_evaluation_split_lends_its_noise(tmp_path):
    write_frames(tmp_path / "set" / "train")
    write_frames(tmp_path / "set" / "val")
    rows = made_by("degrade", tmp_path / "set", tmp_path / "out", reader="video", steps="mined-noise")
    real = ledger(tmp_path / "out")
    assert rows and {real[p["id"]]["split"] for row in rows for p in row["drawn"]["parents"]} == {"train"}


def test_unlabelled_pairs_are_read_again_with_their_targets(tmp_path):
    write_frames(tmp_path / "set" / "wall")
    rows = made_by("degrade", tmp_path / "set", tmp_path / "out", reader="video")
    source = open_source("dataset", str(tmp_path / "out" / "dataset"))
    entries = {entry.carried["id"]: entry for entry in source.entries()}
    for row in rows:
        entry = entries[row["id"]]
        assert entry.label is None
        shown = Image.open(io.BytesIO(source.read_picture(entry.locator, "target")))
        assert (pixels_of(shown) == row["before"]).all()


def test_other_steps_are_refused():
    with pytest.raises(RecipeError, match="'smear' is none of blur, resize, noise, mined-noise, jpeg"):
        build_stage("generate", "degrade", {"steps": "smear"})
