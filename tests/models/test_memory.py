"""Out of memory halves the slices, and costs no row."""

from __future__ import annotations

from functools import wraps

import numpy as np
import pytest
import torch

from augforge.errors import ModelError
from augforge.models.backends import Backend
from augforge.models.backends.slices import Slices
from tests.models.conftest import Opener
from tests.models.requests import difference, request_for


def small_memory(backend: Backend, rows: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the denoiser fail for more than `rows` rows; the numbers of rows that it was called with."""
    seen: list[int] = []
    denoiser = backend.denoiser
    forward = denoiser.forward

    @wraps(forward)
    def limited(*args: torch.Tensor, **settings: torch.Tensor) -> object:
        sample = args[0] if args else settings["hidden_states"]
        seen.append(len(sample))
        if len(sample) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(*args, **settings)

    monkeypatch.setattr(denoiser, "forward", limited)
    return seen


@pytest.mark.parametrize("case", ["unclip", "ip-adapter", "image-to-image", "text-to-image-xl", "text-to-image-3"])
def test_halving_gives_the_same_pictures(case: str, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    request = request_for(opened(case), count=5)
    whole = opened(case).generate(request)
    backend = opened(case, allow_pickle=True)  # an option that changes nothing: a back-end for this test alone
    backend.slices.size = None
    seen = small_memory(backend, 4, monkeypatch)  # rows with guidance: two an image
    assert difference(backend.generate(request), whole) < 1e-5
    assert backend.slices.size == 2
    assert seen[:2] == [10, 4]


def test_the_smaller_slice_is_kept(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = opened("text-to-image", allow_pickle=True)
    backend.slices.size = 2
    seen = small_memory(backend, 4, monkeypatch)
    backend.generate(request_for(backend, count=4))
    assert set(seen) == {4}


def test_decoding_has_slices_of_its_own(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = opened("text-to-image").generate(request_for(opened("text-to-image"), count=5))
    backend = opened("text-to-image", decode_batch=5)
    decode = backend._decoder._net.decode
    seen = []

    def limited(latents: torch.Tensor, **settings: object) -> object:
        seen.append(len(latents))
        if len(latents) > 2:
            raise RuntimeError("CUDA error: out of memory")
        return decode(latents, **settings)

    monkeypatch.setattr(backend._decoder._net, "decode", limited)
    assert difference(backend.generate(request_for(backend, count=5)), whole) < 1e-5
    assert seen == [5, 2, 2, 1]


def test_one_image_that_does_not_fit_is_an_error(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = opened("text-to-image", allow_pickle=True)
    small_memory(backend, 0, monkeypatch)
    with pytest.raises(ModelError, match="not even one image"):
        backend.generate(request_for(backend))


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def broken(start: int, stop: int) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        Slices(4).run(8, broken)


@pytest.mark.parametrize("count", [1, 2, 7, 16])
@pytest.mark.parametrize("fits", [1, 2, 3, 16])
def test_every_row_is_done_once(count: int, fits: int) -> None:
    def work(start: int, stop: int) -> list[int]:
        if stop - start > fits:
            raise torch.OutOfMemoryError("full")
        return list(range(start, stop))

    assert np.concatenate(Slices(None).run(count, work)).tolist() == list(range(count))


@pytest.mark.parametrize(("case", "upcast"), [("text-to-image-xl", True), ("text-to-image", False)])
def test_the_xl_decoder_runs_in_full_precision(
    case: str, upcast: bool, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = opened(case, "bf16")
    decode, net, seen = backend._decoder._net.decode, backend._decoder._net, []

    @wraps(decode)
    def watched(latents: torch.Tensor, **settings: object) -> object:
        seen.append((latents.dtype, net.dtype))
        return decode(latents, **settings)

    monkeypatch.setattr(net, "decode", watched)
    backend.generate(request_for(backend))
    wanted = torch.float32 if upcast else torch.bfloat16
    assert seen == [(wanted, wanted)]
    assert net.dtype == torch.bfloat16
    assert backend.facts["decoder-upcast"] is upcast
