"""LoRAs beside a model's weights: nothing at scale 0, the same merged, and each row with its own alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from augforge.errors import ModelError
from augforge.models import find_model
from augforge.models.backends import backend_class
from augforge.models.backends.loras import Loras
from augforge.models.loras import lora_files
from augforge.training.lora.adapters import Adapters, Size
from augforge.training.lora.kinds import denoiser_for
from tests.models.conftest import CASES
from tests.models.requests import request_for

FILE = "pytorch_lora_weights.safetensors"
KINDS = ("text-to-image", "text-to-image-xl", "text-to-image-3", "text-to-image-flux", "unclip", "kandinsky-2.2")
NEWER = (
    *("pixart_sigma", "pixart_alpha", "sana", "qwen_image", "flux2_klein", "flux2_klein_kv", "chroma"),
    "class-conditional",
)
MORE = ("image-to-image", "inpainting", "ip-adapter")
"""Other back-ends of the same networks."""


def backend_of(case, checkpoint, *loras):
    name, kind = CASES.get(case, ("text-to-image", case))
    more = {"prior": str(checkpoint(kind) / "prior")} if case == "kandinsky-2.2" else {}
    more |= {"adapter": str(checkpoint(f"adapter-{kind}"))} if name == "ip-adapter" else {}
    rows = tuple((find_model(str(folder), "lora"), scale) for folder, scale in loras)
    found = backend_class(name)  # without the look at its rows, which test_rows.py is about
    return found(str(checkpoint(kind)), "cpu", "fp32", found.read_options({"loras": rows, **more}))


def save_loras(case, checkpoint, folder: Path, names=("one",), spread=0.5, texts=False) -> Path:
    """LoRAs of random weights (of zeros with spread 0, as an untrained one ends) as a training of ours leaves them."""
    adapters = Adapters(denoiser_for(backend_of(case, checkpoint)), list(names), Size(2, 4, ()), texts)
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in adapters.weights():
            if spread:
                weight.normal_(std=spread)
    for name in names:
        target = folder / (name if len(names) > 1 else "")
        target.mkdir(parents=True, exist_ok=True)
        save_file(adapters.state(name), target / FILE, metadata=adapters.metadata())
    return folder


def as_trained(folder: Path, per: str, names: dict[str, str]) -> Path:
    """The record of a training around files of LoRAs, by name and what each is of."""
    from augforge.data.files import digest_of, seal

    files = {name: f"{name}/{FILE}" for name in names}
    first, *others = files.values()
    record = {
        "format": 1, "task": "lora", "identity": "x", "weights": digest_of(folder / first), "weights-file": first,
        "more-weights": {file: digest_of(folder / file) for file in others},
        "facts": {"per": per, "loras": [{"name": n, "of": of, "file": files[n]} for n, of in names.items()]},
    }  # fmt: skip
    (folder / "model.json").write_bytes(seal(record))
    return folder


@pytest.mark.parametrize("case", [*KINDS, *NEWER])
def test_scale_zero_and_an_untrained_lora_change_no_bit_and_another_does(case, checkpoint, tmp_path):
    random = save_loras(case, checkpoint, tmp_path / "random")
    fresh = save_loras(case, checkpoint, tmp_path / "fresh", spread=0)
    base = backend_of(case, checkpoint)
    request = request_for(base, count=2)
    before = base.generate(request)
    for folder, scale in ((random, 0.0), (fresh, 1.0)):
        assert np.array_equal(backend_of(case, checkpoint, (folder, scale)).generate(request), before)
    half, whole = (backend_of(case, checkpoint, (random, scale)) for scale in (0.5, 1.0))
    assert np.abs(whole.generate(request) - before).max() > 1e-3
    assert np.abs(whole.generate(request) - half.generate(request)).max() > 1e-4
    fact = whole.facts["loras"][0]
    assert fact["digest"] == find_model(str(random), "lora").facts()["digest"] and fact["scale"] == 1.0


@pytest.mark.parametrize("case", [*KINDS, "pixart_sigma", "chroma", "class-conditional"])
def test_a_merged_lora_makes_the_same_images(case, checkpoint, tmp_path):
    folder = save_loras(case, checkpoint, tmp_path / "random", spread=0.1)
    backend = backend_of(case, checkpoint, (folder, 0.7))
    request = request_for(backend, count=2)
    apart = backend.generate(request)
    assert np.abs(apart - backend_of(case, checkpoint).generate(request)).max() > 1e-4
    (backend.pipe if hasattr(backend.pipe, "fuse_lora") else backend.denoiser).fuse_lora()
    assert np.abs(backend.generate(request) - apart).max() < 1e-5


@pytest.mark.parametrize("case", ["text-to-image", "unclip"])
def test_a_layer_has_the_product_of_its_matrices_more(case, checkpoint, tmp_path):
    """W + scale * alpha / rank * B A, with the alpha of the file."""
    folder = save_loras(case, checkpoint, tmp_path / "random")
    backend = backend_of(case, checkpoint, (folder, 0.5))
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    layer = backend.denoiser.get_submodule(name)
    weights = load_file(folder / FILE)
    product = weights[f"unet.{name}.lora_B.weight"] @ weights[f"unet.{name}.lora_A.weight"]
    plain = layer.base_layer.weight.detach().clone()
    backend.pipe.fuse_lora()
    assert torch.allclose(layer.base_layer.weight - plain, 0.5 * (4 / 2) * product, atol=1e-5)


@pytest.mark.parametrize("case", [*KINDS, *MORE])
def test_rows_have_their_own_loras_whatever_their_neighbours_have(case, checkpoint, tmp_path):
    base = CASES[case][1]
    maker = next(kind for kind in KINDS if CASES[kind][1] == base)
    folder = save_loras(maker, checkpoint, tmp_path / "two", ("a", "b"))
    as_trained(folder, "class", {"a": "cat", "b": "dog"})
    backend = backend_of(case, checkpoint, (folder, 1.0))
    request, name = request_for(backend, count=3), str(folder)
    cat, dog, plain = {name: {"cat": 1.0}}, {name: {"dog": 1.0}}, {}
    mixed = backend.generate(replace(request, loras=[cat, dog, plain]))
    for row, loras in enumerate((cat, dog, plain)):
        alone = backend.generate(replace(request, loras=[loras] * 3))
        assert np.array_equal(mixed[row], alone[row]), "the same bits, in whichever company"
    assert np.array_equal(mixed[2], backend_of(case, checkpoint).generate(request_for(backend, count=3))[2]), (
        "without a LoRA the model itself"
    )
    both = backend.generate(replace(request, loras=[{name: {"cat": 0.5, "dog": 0.5}}] * 3))
    for other in (backend.generate(replace(request, loras=[each] * 3)) for each in (cat, dog, plain)):
        assert np.abs(both - other).max() > 1e-3
    assert np.array_equal(backend.generate(replace(request, loras=[cat, dog, plain])), mixed), "nothing stays behind"


def test_one_set_of_loras_for_the_whole_batch_is_found_out(checkpoint, tmp_path, monkeypatch):
    """The known wrong way: the LoRAs of the first row for all rows."""
    folder = as_trained(
        save_loras("text-to-image", checkpoint, tmp_path, ("a", "b")), "class", {"a": "cat", "b": "dog"}
    )
    backend = backend_of("text-to-image", checkpoint, (folder, 1.0))
    request = replace(request_for(backend, count=2), loras=[{str(folder): {"cat": 1.0}}, {str(folder): {"dog": 1.0}}])
    right = backend.generate(request)
    wanted = Loras._wanted
    monkeypatch.setattr(Loras, "_wanted", lambda self, row: wanted(self, request.loras[0]))
    assert np.array_equal(backend.generate(request)[0], right[0])
    assert np.abs(backend.generate(request)[1] - right[1]).max() > 1e-3


@pytest.mark.parametrize("case", ["text-to-image", "text-to-image-xl", "unclip"])
def test_text_encoders_have_the_lora_of_the_row_too(case, checkpoint, tmp_path):
    folder = save_loras(case, checkpoint, tmp_path / "two", ("a", "b"), texts=True)
    for file in folder.rglob(FILE):  # of the text encoders alone
        weights = {name: value for name, value in load_file(file).items() if name.startswith("text_encoder")}
        keep = {name: value for name, value in load_file(file).items() if not name.startswith("text_encoder")}
        from safetensors import safe_open

        with safe_open(file, "pt") as opened:
            about = opened.metadata()
        save_file({**weights, **{name: value * 0 for name, value in keep.items()}}, file, metadata=about)
    as_trained(folder, "class", {"a": "cat", "b": "dog"})
    backend = backend_of(case, checkpoint, (folder, 1.0))
    request, name = request_for(backend, count=2), str(folder)
    rows = [{name: {"cat": 1.0}}, {name: {"dog": 1.0}}]
    mixed = backend.generate(replace(request, loras=rows))
    for row in range(2):
        alone = backend.generate(replace(request, loras=[rows[row]] * 2))
        assert np.array_equal(mixed[row], alone[row])
    plain = backend.generate(replace(request, loras=[{}, {}]))
    assert np.abs(plain - mixed).max(axis=(1, 2, 3)).min() > 1e-4


def test_several_loras_act_together(checkpoint, tmp_path):
    folders = [
        save_loras("text-to-image", checkpoint, tmp_path / name, spread=s) for name, s in (("a", 0.3), ("b", 0.5))
    ]
    request = request_for(backend_of("text-to-image", checkpoint), count=2)
    together = backend_of("text-to-image", checkpoint, (folders[0], 1.0), (folders[1], 0.5)).generate(request)
    for alone in (((folders[0], 1.0),), ((folders[1], 0.5),)):
        assert np.abs(backend_of("text-to-image", checkpoint, *alone).generate(request) - together).max() > 1e-3
    without = backend_of("text-to-image", checkpoint, (folders[0], 1.0), (folders[1], 0.0)).generate(request)
    only = backend_of("text-to-image", checkpoint, (folders[0], 1.0)).generate(request)
    assert np.array_equal(without, only)


def test_what_does_not_fit_is_said(checkpoint, tmp_path):
    folder = save_loras("text-to-image-xl", checkpoint, tmp_path / "xl")
    with pytest.raises(ModelError, match="does not fit this model"):
        backend_of("text-to-image", checkpoint, (folder, 1.0))
    (tmp_path / "other").mkdir()
    save_file({"transformer.x.lora_A.weight": torch.zeros(2, 4)}, tmp_path / "other" / FILE)
    with pytest.raises(ModelError, match=r"no layer of the LoRA|does not fit"):
        backend_of("text-to-image", checkpoint, (tmp_path / "other", 1.0))
    named = as_trained(
        save_loras("text-to-image", checkpoint, tmp_path / "n", ("a", "b")), "class", {"a": "x", "b": "y"}
    )
    backend = backend_of("text-to-image", checkpoint, (named, 1.0))
    with pytest.raises(ModelError, match="has none of 'z'"):
        backend.generate(replace(request_for(backend, count=1), loras=[{str(named): {"z": 1.0}}]))


def test_where_loras_lie(checkpoint, tmp_path):
    folder = save_loras("text-to-image", checkpoint, tmp_path / "plain")
    assert lora_files(find_model(str(folder), "lora")).per == "set"
    assert lora_files(find_model(str(folder / FILE), "lora")).files[0].path == folder / FILE
    named = as_trained(
        save_loras("text-to-image", checkpoint, tmp_path / "n", ("a", "b")), "image", {"a": "1", "b": "2"}
    )
    found = lora_files(find_model(str(named), "lora"))
    assert (found.per, found.known) == ("image", {"1", "2"})
    (named / "b" / FILE).write_bytes(b"damaged")
    record = json.loads((named / "model.json").read_text())
    assert record["task"] == "lora"
    (named / "model.json").touch()
    with pytest.raises(ModelError, match="is not what was trained"):
        lora_files(find_model(str(named), "lora"))
    with pytest.raises(ModelError, match="is a model for"):
        find_model(str(checkpoint("sd")), "lora")
