"""Memory of weights: counted in the headers of files, or by the row."""

from __future__ import annotations

import shutil
from pathlib import Path

import diffusers
import pytest

from augforge.models import find_model
from augforge.models.hub_rows import HUB_ROWS
from augforge.models.needs import parameters_of, weights_gib
from augforge.models.table import MODELS
from tests.models.conftest import Checkpoint


def counted(folder: Path) -> int:
    parts = diffusers.StableDiffusionPipeline.from_pretrained(folder, safety_checker=None).components.values()
    return sum(p.numel() for part in parts if hasattr(part, "parameters") for p in part.parameters())


def test_it_is_what_the_pipeline_has_whatever_copies_lie_beside(checkpoint: Checkpoint, tmp_path: Path) -> None:
    source = checkpoint("sd")
    truth = counted(source)
    assert 0.999 * truth <= parameters_of(find_model(str(source), "text-to-image")) <= 1.01 * truth
    folder = tmp_path / "copy"
    shutil.copytree(source, folder)
    before = parameters_of(find_model(str(folder), "text-to-image"))
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    shutil.copy(weights, weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    (folder / "safety_checker").mkdir()
    shutil.copy(weights, folder / "safety_checker" / "model.safetensors")
    assert parameters_of(find_model(str(folder), "text-to-image")) == before
    weights.unlink()  # of one precision alone
    assert parameters_of(find_model(str(folder), "text-to-image")) == before


def test_a_damaged_file_counts_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(b"\xff" * 20)
    assert parameters_of(find_model(str(tmp_path / "m.safetensors"), "text-to-image")) is None


def test_gib() -> None:
    assert weights_gib(1 << 30, "fp32") == 4.0
    assert weights_gib(1 << 30, "bf16") == weights_gib(1 << 30, "fp16") == 2.0


def test_rows_of_the_hub_say_what_they_are_about_to_load() -> None:
    assert parameters_of(MODELS["flux-dev"]) == 16_900_000_000
    assert parameters_of(MODELS["kandinsky-2.2"]) is None
    for row in HUB_ROWS:
        assert 0.5 < row.billions < 100 and row.repository.count("/") >= 1 and row.about


@pytest.mark.parametrize("row", HUB_ROWS, ids=lambda row: row.name)
def test_a_row_names_back_ends_and_options_that_there_are(row) -> None:
    from augforge.models.backends import backend_class

    known = [set(backend_class(name).options.__dataclass_fields__) for name in row.backends]
    assert set(row.options) <= set.union(*known)  # a back-end is given those that it has
