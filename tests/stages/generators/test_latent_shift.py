"""Latent shift: nothing at amplitude 0, what the decoder makes of a shift else, and the filter that judges it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from datasets import load_from_disk
from PIL import Image

from augforge.algorithms.latents import principal_directions, principal_shift
from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.engine.run import run
from augforge.errors import ModelError
from augforge.models.autoencoder import Autoencoder
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.generators.latent_shift import LatentShift
from tests.conftest import write_images
from tests.test_laws import rows


def finished(folder: Path, out: Path, model: str, *more: tuple[str, str, dict], **options):
    stage = build_stage("generate", "latent-shift", {"model": model, "per-class": 3, "batch": 2, **options})
    stages = (stage, *(build_stage(verb, name, given) for verb, name, given in more))
    summary = run(Recipe("x", 1, (SourceSpec("folder", str(folder)),), stages), out, device="cpu", allow_empty=True)
    data = {row["id"]: np.asarray(row["image"].convert("RGB")) for row in load_from_disk(str(out / "dataset"))}
    return summary, rows(out), data


def children(ledger):
    return [row for row in ledger.values() if row["origin"] == "synthetic"]


@pytest.mark.parametrize("direction", ["principal", "style"])
@pytest.mark.parametrize("size", [32, 30])
def test_amplitude_0_is_the_identity_to_the_byte(tmp_path, tiny_models, direction, size):
    folder = write_images(tmp_path / "set", {"cat": 3}, size=size)
    options = {"amplitude": 0, "direction": direction}
    _, ledger, data = finished(folder, tmp_path / "out", tiny_models["autoencoder"], **options)
    assert len(children(ledger)) == 3
    for row in children(ledger):
        assert (data[row["id"]] == data[row["parents"][0]]).all()


def test_without_detail_amplitude_0_is_the_reconstruction(tmp_path, tiny_models):
    model = tiny_models["autoencoder"]
    folder = write_images(tmp_path / "set", {"cat": 3}, size=30)
    _, ledger, data = finished(folder, tmp_path / "out", model, amplitude=0, detail=False)
    vae = Autoencoder(model, "cpu")
    for row in children(ledger):
        plain = vae.decode(vae.encode([Image.fromarray(data[row["parents"][0]])]), (30, 30))[0].clip(0, 1)
        assert np.abs(data[row["id"]] / 255 - plain).max() <= 1.01 / 255
        assert (data[row["id"]] != data[row["parents"][0]]).any(), "the tiny autoencoder knows nothing"


@pytest.mark.parametrize("detail", [True, False])
def test_an_image_is_what_its_row_says(tmp_path, tiny_models, detail):
    model = tiny_models["autoencoder"]
    folder = write_images(tmp_path / "set", {"cat": 4})
    _, ledger, data = finished(folder, tmp_path / "out", model, amplitude=2, detail=detail)
    vae = Autoencoder(model, "cpu")
    for row in children(ledger):
        latents = [vae.encode([Image.fromarray(data[parent])])[0] for parent in row["parents"]]
        strengths = json.loads(row["sampled_params"])["strengths"]
        shift = principal_shift(principal_directions(latents), strengths, latents[0].shape)
        before, after = (vae.decode(latent[None], (32, 32))[0] for latent in (latents[0], latents[0] + shift))
        expected = data[row["parents"][0]] / 255 + after - before if detail else after
        assert np.abs(data[row["id"]] / 255 - expected.clip(0, 1)).max() <= 1.01 / 255
        assert (data[row["id"]] != data[row["parents"][0]]).any()


def test_opposite_signs_move_the_latent_opposite_ways(tiny_models):
    """A decoder that is linear, as the mean is of a picture: what one sign adds the other takes away."""
    vae = Autoencoder(tiny_models["autoencoder"], "cpu")
    random = np.random.default_rng(0)
    pictures = [Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(4)]
    latents = [vae.encode([picture])[0] for picture in pictures]
    found = principal_directions(latents)
    scores = [
        float(found.vectors[0] @ (latents[0] + principal_shift(found, [strength], latents[0].shape)).ravel())
        for strength in (-1.0, 0.0, 1.0)
    ]
    assert scores[0] < scores[1] < scores[2]
    assert scores[2] - scores[1] == pytest.approx(scores[1] - scores[0], rel=1e-3)


def test_an_image_alone_in_its_class_has_no_direction_and_is_dropped_so(tmp_path, tiny_models):
    folder = write_images(tmp_path / "set", {"cat": 3, "lone": 1})
    _, ledger, _ = finished(folder, tmp_path / "out", tiny_models["autoencoder"])
    dropped = [row for row in children(ledger) if row["dropped"]]
    assert {row["label"] for row in dropped} == {"lone"} and len(dropped) == 3
    assert "no direction in which it varies" in dropped[0]["dropped"]
    _, ledger, _ = finished(folder, tmp_path / "style", tiny_models["autoencoder"], direction="style")
    assert not any(row["dropped"] for row in ledger.values())


def test_masks_and_annotations_stay_as_they_are(tmp_path, tiny_models):
    source = write_images(tmp_path / "set", {"cat": 3})
    (tmp_path / "masks").mkdir()
    for path in (source / "cat").glob("*.png"):
        Image.fromarray(np.kron(np.eye(4, dtype=np.uint8) * 7, np.ones((8, 8), np.uint8))).save(
            tmp_path / "masks" / path.name
        )
    spec = SourceSpec("folder", str(source / "cat"), {"masks": str(tmp_path / "masks"), "class": "cat"})
    stage = build_stage("generate", "latent-shift", {"model": tiny_models["autoencoder"], "per-class": 3, "batch": 2})
    run(Recipe("x", 1, (spec,), (stage,)), tmp_path / "out", device="cpu")
    data = load_from_disk(str(tmp_path / "out" / "dataset"))
    wanted = np.kron(np.eye(4, dtype=np.uint8) * 7, np.ones((8, 8), np.uint8))
    assert len(data) == 6 and all((np.asarray(row["mask"]) == wanted).all() for row in data)


def test_the_label_preserved_filter_judges_it(tmp_path, tiny_models):
    folder = write_images(tmp_path / "set", {"cat": 3, "dog": 3})
    judge = ("filter", "label-preserved", {"model": tiny_models["image-embedding"], "keep": 0.5})
    summary, ledger, _ = finished(folder, tmp_path / "out", tiny_models["autoencoder"], judge)
    assert sum(row["kept"] for row in children(ledger)) == 2 and summary.dropped == 4, "half of three, of each class"


def test_neighbours_are_others_of_the_class_and_strengths_within_the_amplitude():
    pool = Pool([Sample(str(number), "cat", digest=str(number)) for number in range(20)])
    parent = pool.samples[3]
    parents, drawn = LatentShift(model="x", amplitude=0.3).sample_params("cat", parent, pool, 0, 7)
    assert parents[0] is parent and len({p.id for p in parents}) == len(parents) > 4
    assert len(drawn["strengths"]) == 4 and max(map(abs, drawn["strengths"])) <= 0.3
    assert LatentShift(model="x", direction="style").sample_params("cat", parent, pool, 0, 7) == (
        [parent],
        {"variant": 0},
    )


def test_a_model_without_an_autoencoder_is_named(tiny_models, tmp_path):
    with pytest.raises(ModelError, match="not for autoencoder"):
        LatentShift(model=tiny_models["image-text"]).load("cpu")
    from diffusers import AutoencoderKL

    alone = tmp_path / "vae"
    AutoencoderKL.from_pretrained(tiny_models["autoencoder"], subfolder="vae").save_pretrained(alone)
    assert Autoencoder(str(alone), "cpu").factor == Autoencoder(tiny_models["autoencoder"], "cpu").factor
    with pytest.raises(ModelError, match="needs a GPU"):
        Autoencoder(str(alone), "cpu", "fp16")
