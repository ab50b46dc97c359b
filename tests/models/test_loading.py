"""Which checkpoints load, and what is said of those that do not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from augforge.errors import ModelError
from augforge.models import Model
from augforge.models.backends import open_backend
from augforge.models.backends.checkpoint import declared_dtype, find_checkpoint
from augforge.models.backends.loading import pick_dtype
from augforge.models.backends.options import Options
from tests.models.conftest import Checkpoint, Opener
from tests.models.requests import request_for
from tests.models.single_file import write_single_file


def copied(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def test_importing_the_package_loads_no_library() -> None:
    code = (
        "import sys, augforge.models.backends as b; [b.backend_class(n).carries for n in b.BACKENDS];"
        "sys.exit(any(m in sys.modules for m in ('torch', 'diffusers', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_row_of_the_table_loads(checkpoint: Checkpoint) -> None:
    row = Model("mine", ("unclip",), str(checkpoint("unclip")), "MIT", "a test")
    backend = open_backend("unclip", row, "cpu")
    assert backend.facts["model"]["name"] == "mine"
    assert backend.facts["model"]["licence"] == "MIT"


@pytest.mark.parametrize("part", ["unet", "text_encoder"])
def test_pickled_weights_are_refused(part: str, checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = copied(checkpoint("sd"), tmp_path / "pickled")
    pickle_part(folder / part)
    with pytest.raises(ModelError, match=f"{part} .* pickled") as caught:
        open_backend("text-to-image", str(folder), "cpu")
    assert "allow-pickle" in caught.value.hint


def test_pickled_weights_load_where_they_are_allowed(checkpoint: Checkpoint, opened: Opener, tmp_path: Path) -> None:
    folder = copied(checkpoint("sd"), tmp_path / "pickled")
    pickle_part(folder / "unet")
    backend = open_backend("text-to-image", str(folder), "cpu", allow_pickle=True)
    request = request_for(backend)
    assert (backend.generate(request) == opened("text-to-image").generate(request)).all()


def pickle_part(folder: Path) -> None:
    """Replace the safetensors file of a component by a pickled one."""
    from safetensors.torch import load_file

    file = next(folder.glob("*.safetensors"))
    name = {"diffusion_pytorch_model": "diffusion_pytorch_model.bin", "model": "pytorch_model.bin"}[file.stem]
    torch.save(load_file(file), folder / name)
    file.unlink()


@pytest.mark.parametrize("name", ["model.ckpt", "model.pt", "model.bin"])
def test_a_pickled_single_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ModelError, match="pickled"):
        open_backend("text-to-image", str(tmp_path / name), "cpu")


def test_a_pickled_adapter_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "ip-adapter.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="pickled"):
        open_backend("ip-adapter", str(checkpoint("sd")), "cpu", adapter=str(tmp_path / "ip-adapter.bin"))


@pytest.mark.parametrize(
    ("name", "kind"), [("unclip", "sd"), ("kandinsky-2.2", "sd"), ("ip-adapter", "sd3"), ("variation", "sd")]
)
def test_a_checkpoint_of_another_kind_is_refused(name: str, kind: str, checkpoint: Checkpoint) -> None:
    with pytest.raises(ModelError, match=r"it is a StableDiffusion\w*Pipeline") as caught:
        open_backend(name, str(checkpoint(kind)), "cpu")
    assert "Pipeline" in caught.value.hint


def test_an_adapter_for_another_base_model_is_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(ModelError, match="does not fit") as caught:
        open_backend("ip-adapter", str(checkpoint("sd")), "cpu", adapter=str(checkpoint("adapter-sdxl")))
    assert "1.5 or XL" in caught.value.hint


def test_an_adapter_that_reads_something_else_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = copied(checkpoint("adapter-sd"), tmp_path / "full")
    file = folder / "models" / "ip-adapter_sd15.safetensors"
    state = {name: tensor for name, tensor in load_file(file).items() if not name.startswith("image_proj")}
    for name, shape in {"0.weight": (32, 32), "0.bias": (32,), "2.weight": (32, 32), "2.bias": (32,)}.items():
        state[f"image_proj.proj.{name}"] = torch.zeros(shape)
    state |= {"image_proj.proj.3.weight": torch.ones(32), "image_proj.proj.3.bias": torch.zeros(32)}
    save_file(state, file)
    with pytest.raises(ModelError, match="given something else"):
        open_backend("ip-adapter", str(checkpoint("sd")), "cpu", adapter=str(folder))


def test_a_lone_adapter_file_loads(checkpoint: Checkpoint) -> None:
    adapter = checkpoint("adapter-sd") / "models" / "ip-adapter_sd15.safetensors"
    backend = open_backend("ip-adapter", str(checkpoint("sd")), "cpu", adapter=str(adapter))
    assert backend.facts["adapter"]["weights"] == adapter.name


def test_what_automatic_pipelines_do_not_know_is_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(ModelError, match="AutoPipelineForText2Image"):
        open_backend("text-to-image", str(checkpoint("variation")), "cpu")


@pytest.mark.parametrize("place", ["nowhere", "./nowhere/at-all", "/nowhere/at/all"])
def test_a_model_that_is_not_there(place: str) -> None:
    with pytest.raises(ModelError, match="there is no model"):
        open_backend("text-to-image", place, "cpu")


def test_a_hub_out_of_reach_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="cannot be had") as caught:
        open_backend("text-to-image", "hub:nobody/has-this", "cpu")
    assert "hub" in caught.value.hint


def test_a_directory_without_a_pipeline(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no diffusers pipeline"):
        open_backend("text-to-image", str(tmp_path), "cpu")


def test_a_damaged_checkpoint_is_said(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = copied(checkpoint("sd"), tmp_path / "damaged")
    (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"short")
    with pytest.raises(ModelError):
        open_backend("text-to-image", str(folder), "cpu")


@pytest.mark.parametrize("stored", ["fp16", "bf16"])
def test_auto_takes_the_precision_of_the_checkpoint(stored: str, checkpoint: Checkpoint, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = copied(checkpoint("sd"), tmp_path / stored)
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    half = {"fp16": torch.float16, "bf16": torch.bfloat16}[stored]
    save_file({name: tensor.to(half) for name, tensor in load_file(file).items()}, file)
    found = find_checkpoint(str(folder), Options())
    assert declared_dtype(found, None) == stored
    assert pick_dtype("auto", "cuda", found, Options()) == half
    assert pick_dtype("auto", "cpu", found, Options()) == torch.float32
    assert pick_dtype("fp32", "cuda", found, Options()) == torch.float32


def test_auto_for_full_precision_depends_on_the_architecture(checkpoint: Checkpoint) -> None:
    unet, transformer = (find_checkpoint(str(checkpoint(name)), Options()) for name in ("sd", "sd3"))
    assert pick_dtype("auto", "cuda", unet, Options()) == torch.float16
    assert pick_dtype("auto", "cuda", transformer, Options()) == torch.bfloat16
    with pytest.raises(ModelError, match="no precision"):
        pick_dtype("fp8", "cpu", unet, Options())


def test_a_variant_is_read(checkpoint: Checkpoint, opened: Opener, tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(checkpoint("sd"), safety_checker=None, feature_extractor=None)
    pipe.save_pretrained(tmp_path, variant="fp16")
    backend = open_backend("text-to-image", str(tmp_path), "cpu", variant="fp16")
    request = request_for(backend)
    assert backend.facts["model"]["variant"] == "fp16"
    assert (backend.generate(request) == opened("text-to-image").generate(request)).all()
    with pytest.raises(ModelError):
        open_backend("text-to-image", str(checkpoint("sd")), "cpu", variant="fp16")


def test_the_digest_follows_the_weights(checkpoint: Checkpoint, tmp_path: Path) -> None:
    folder = copied(checkpoint("sd"), tmp_path / "copy")
    before = find_checkpoint(str(folder), Options()).facts["digest"]
    assert before == find_checkpoint(str(checkpoint("sd")), Options()).facts["digest"]
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "more": 1}))
    assert find_checkpoint(str(folder), Options()).facts["digest"] != before


@pytest.fixture(scope="session")
def single_file(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_single_file(checkpoint("sd"), tmp_path_factory.mktemp("single") / "tiny.safetensors")


@pytest.mark.parametrize("case", ["text-to-image", "image-to-image", "ip-adapter"])
def test_a_single_file_gives_the_pictures_of_its_directory(
    case: str, single_file: Path, checkpoint: Checkpoint, opened: Opener
) -> None:
    more = {"adapter": str(checkpoint("adapter-sd"))} if case == "ip-adapter" else {}
    backend = open_backend(case, str(single_file), "cpu", config=str(checkpoint("sd")), **more)
    request = request_for(backend)
    assert len(backend.facts["model"]["digest"]) == 64
    assert (backend.generate(request) == opened(case).generate(request)).all()


def test_a_single_file_of_another_kind_is_refused(single_file: Path, checkpoint: Checkpoint) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_backend("unclip", str(single_file), "cpu", config=str(checkpoint("unclip")))
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_backend("ip-adapter", str(single_file), "cpu", config=str(checkpoint("sd3")))


def test_a_single_file_asks_the_hub_for_its_configuration(single_file: Path) -> None:
    """Which is out of reach here, and said so."""
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        open_backend("text-to-image", str(single_file), "cpu")
    assert "config" in caught.value.hint
