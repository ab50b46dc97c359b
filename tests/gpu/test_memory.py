"""Out of memory that is real: no call is made to fail, the device is full."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from augforge.errors import ModelError
from augforge.models.backends import open_backend
from augforge.models.backends.slices import Slices, out_of_memory
from augforge.recipe import build_stage
from tests.gpu.memory import MIB, peak_of, room
from tests.models.requests import difference, request_for

pytestmark = pytest.mark.gpu
COUNT = 32


def test_slices_shrink_to_what_there_is_room_for(device):
    """Rows of 512 MiB, eight of them, room for three and a half: eight fail, four fail, two go."""
    tried: list[int] = []

    def work(start: int, stop: int) -> int:
        tried.append(stop - start)
        return len(torch.empty(stop - start, 512 * MIB, dtype=torch.uint8, device=device))

    torch.ones(1, device=device)  # the device's own beginnings do not count
    slices = Slices(None)
    with room(1792 * MIB, device):
        assert slices.run(8, work) == [2, 2, 2, 2]
    assert tried == [8, 4, 2, 2, 2, 2] and slices.size == 2
    with room(256 * MIB, device), pytest.raises(ModelError, match="not even one image"):
        Slices(None).run(3, work)
    assert Slices(None).run(2, work) == [2], "it goes on afterwards"


def test_the_error_of_a_full_device_is_known(device):
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**50, dtype=torch.uint8, device=device)
    assert out_of_memory(raised.value)


def big(backend, count: int = COUNT):
    """A request for pictures of 256 px, which take megabytes each, even of a tiny model."""
    return replace(request_for(backend, count=count, steps=2), size=(256, 256))


def test_a_full_card_costs_no_row(checkpoint, device):
    if device == "cpu":
        pytest.skip("tiny models take too little of a process's memory to be limited by it")
    backend = open_backend("text-to-image", str(checkpoint("sd")), device, "fp32")
    whole = backend.generate(big(backend))
    peak = peak_of(lambda: backend.generate(big(backend)))
    assert backend.slices.size is None, "all fitted at once"
    assert peak > 100 * MIB
    with room(int(0.6 * peak), device):
        small = backend.generate(big(backend))
    assert backend.slices.size is not None and backend.slices.size <= COUNT // 2
    assert difference(small, whole) < 1e-4


def test_the_measured_batch_fits(checkpoint, device, tmp_path):
    """`batch: auto` with 2 GiB left; on a CPU nothing is measured, and it is 32."""
    folder = tmp_path / "sd"
    shutil.copytree(checkpoint("sd"), folder)
    config = folder / "unet" / "config.json"
    side = 128 if device == "cuda" else 16  # of latents; the pictures' is twice that
    config.write_text(json.dumps({**json.loads(config.read_text()), "sample_size": side}))
    stage = build_stage("generate", "text2img", {"model": str(folder), "batch": "auto", "dtype": "fp32"})
    with room(2048 * MIB, device):
        size = stage.probe(device)
        assert size == 32 if device == "cpu" else (2 <= size <= 256 and size & (size - 1) == 0)
        backend = open_backend("text-to-image", str(folder), device, "fp32")
        count = size if device == "cuda" else 4
        made = backend.generate(replace(request_for(backend, count=count, steps=1), size=None))
    assert made.shape == (count, 2 * side, 2 * side, 3) and np.isfinite(made).all()
    assert backend.slices.size is None, "it did not fit"
