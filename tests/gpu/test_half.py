"""Half precision: what overflows in it is made once more in full precision."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from augforge.engine.run import run
from augforge.models.backends import Request, open_backend
from augforge.recipe import Recipe, SourceSpec, build_stage
from tests.conftest import write_images
from tests.models.requests import request_for
from tests.test_laws import pixels

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="session")
def overflowing(checkpoint, tmp_path_factory):
    """A checkpoint whose decoder's first layer gives numbers beyond 65,504, which its norms bring back to a few."""
    folder = tmp_path_factory.mktemp("overflow") / "sd"
    shutil.copytree(checkpoint("sd"), folder)
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    layer = weights["decoder.conv_in.weight"]
    weights["decoder.conv_in.weight"] = layer * (3e4 / layer.abs().max())
    save_file(weights, path, metadata={"format": "pt"})
    return folder


def test_a_picture_that_overflows_is_made_in_full_precision(overflowing, device, tmp_path):
    half = open_backend("text-to-image", str(overflowing), device, "fp16")
    assert np.isnan(half.generate(request_for(half, count=2))).all(axis=(1, 2, 3)).all(), "nothing overflows"
    folder = write_images(tmp_path / "set", {"cat": 2, "dog": 2})
    options = {"model": str(overflowing), "per-class": 3, "batch": 6, "steps": 3, "dtype": "fp16", "guidance": 3.0}
    stage = build_stage("generate", "text2img", {**options, "prompt": "a cat"})
    summary = run(Recipe("half", 0, (SourceSpec("folder", str(folder)),), (stage,)), tmp_path / "out", device=device)
    assert summary.work[1]["generated"] == 6 and summary.reasons == {}
    table = pq.read_table(tmp_path / "out" / "samples.parquet").to_pylist()
    rows = [row for row in table if row["origin"] == "synthetic"]
    assert [json.loads(row["sampled_params"]).get("retried-in") for row in rows] == ["float32"] * 6
    full = open_backend("text-to-image", str(overflowing), device, "fp32")
    wanted = full.generate(Request(["a cat"] * 6, [""] * 6, [row["seed"] for row in rows], steps=3, guidance=3.0))
    made = pixels(tmp_path / "out")
    for row, picture in zip(rows, wanted, strict=True):
        assert np.abs(made[row["id"]] - 255 * picture).max() < 1.5


def test_half_precision_is_the_default_on_cuda(checkpoint, device):
    backend = open_backend("text-to-image", str(checkpoint("sd")), device)
    assert backend.facts["dtype"] == ("float16" if device == "cuda" else "float32")
    assert np.isfinite(backend.generate(request_for(backend))).all()


def test_cuda_draws_as_the_cpu_does(checkpoint, opened, device):
    backend = open_backend("text-to-image", str(checkpoint("sd")), device, "fp32")
    assert backend.facts["device"] == device and backend.facts["dtype"] == str(torch.float32).removeprefix("torch.")
    request = request_for(backend)
    assert np.abs(backend.generate(request) - opened("text-to-image").generate(request)).mean() < 0.01
