"""Devices: what there is none of is refused, without importing torch where the answer lies elsewhere."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from augforge.engine.before import check_before
from augforge.errors import AugforgeError, ModelError
from augforge.models import devices
from augforge.models.backends.checkpoint import Checkpoint
from augforge.models.backends.loading import pick_dtype
from augforge.models.backends.options import Options
from augforge.models.devices import check_device, kind_of, pick_device, setting
from augforge.recipe import build_stage

BUILD = "cuda: Optional[str] = {cuda}\nhip: Optional[str] = {hip}\n"


@pytest.fixture
def built(monkeypatch, tmp_path):
    """Makes torch look as if it was built for something, with or without a driver."""

    def make(cuda: str, hip: str, driver: bool) -> None:
        (tmp_path / "version.py").write_text(BUILD.format(cuda=cuda, hip=hip))
        monkeypatch.setattr(devices, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
        monkeypatch.setattr(devices, "_has_library", lambda name: driver)

    return make


@pytest.fixture
def gpus(monkeypatch):
    """Makes torch see some GPUs, and tells which one was made the current one."""
    chosen: list[str] = []

    def make(count: int) -> list[str]:
        monkeypatch.setattr(devices, "_why_no_cuda", lambda: None)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H")
        return chosen

    return make


@pytest.mark.parametrize(
    "name", ["gpu", "GPU", "cuda:", "cuda:-1", "cuda:1.5", "cuda:0 ", "CPU", "", "cuda:²", "mps:0"]
)
def test_what_is_no_device_is_refused_with_all_that_are(name):
    with pytest.raises(ModelError, match="no device called") as caught:
        check_device(name)
    assert all(known in caught.value.hint for known in ("auto", "cpu", "cuda", "cuda:1", "mps"))


def test_a_torch_for_the_cpu_has_no_cuda(built):
    built("None", "None", driver=True)
    with pytest.raises(ModelError, match="this torch is built for the CPU"):
        check_device("cuda")


def test_without_a_driver_there_is_no_cuda(built):
    built("'13.2'", "None", driver=False)
    with pytest.raises(ModelError, match="there is no NVIDIA driver"):
        check_device("cuda:7")


@pytest.mark.parametrize(("cuda", "hip", "driver"), [("'13.2'", "None", True), ("None", "'6.4'", False)])
def test_where_there_may_be_one_torch_is_asked(built, monkeypatch, cuda, hip, driver):
    built(cuda, hip, driver)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match=r"no CUDA device is visible$"):
        check_device("cuda")


def test_a_gpu_is_chosen_by_its_number_and_must_be_there(gpus):
    chosen = gpus(2)
    assert pick_device("cuda:1") == "cuda:1" and chosen == ["cuda:1"]
    assert pick_device("auto") == pick_device("cuda") == "cuda" and chosen == ["cuda:1"]
    assert setting("cuda:1", torch.float16)["device"] == "cuda"  # a number says nothing on another machine
    with pytest.raises(ModelError, match="there is no cuda:2: of CUDA devices 2 can be seen") as caught:
        pick_device("cuda:2")
    assert caught.value.hint == "the last one is cuda:1"


@pytest.fixture
def apple(monkeypatch):
    """Makes this machine look like one of Apple's."""
    monkeypatch.setattr(devices, "sys", SimpleNamespace(platform="darwin"))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


@pytest.mark.skipif(sys.platform == "darwin", reason="here there is one")
def test_elsewhere_there_is_no_mps():
    with pytest.raises(ModelError, match="there is no MPS device"):
        pick_device("mps")


def test_mps_is_a_device_of_apples_computers(apple):
    assert pick_device("mps") == "mps" and pick_device("auto") == "cpu"  # only if asked for
    assert kind_of("mps") == "mps"


def test_on_mps_auto_is_full_precision_as_diffusers_has_it_and_half_if_asked(tmp_path):
    (tmp_path / "unet").mkdir()
    unet = Checkpoint("m", tmp_path, {"unet": ["diffusers", "UNet2DConditionModel"]}, {})
    half = Options(variant="fp16")
    assert pick_dtype("auto", "cuda:1", unet, half) == torch.float16
    assert pick_dtype("auto", "mps", unet, half) == torch.float32
    assert pick_dtype("fp16", "mps", unet, half) == torch.float16


def test_on_mps_images_are_made_one_by_one(apple):
    stage = build_stage("generate", "augmented-conditioning", {"model": "builtin-unclip"})
    assert stage.default_batch_size("mps") == 1 and stage.default_batch_size("cpu") == 32


def test_training_on_mps_is_in_full_precision(apple, monkeypatch):
    from augforge.training import loop

    seen: list[dict[str, object]] = []
    monkeypatch.setattr(loop, "Accelerator", lambda **given: seen.append(given))
    loop.accelerator_for("mps", "auto")
    assert seen == [{"cpu": False, "mixed_precision": "no", "step_scheduler_with_optimizer": False}]
    with pytest.raises(ModelError, match="training in fp16 needs a GPU with CUDA"):
        loop.accelerator_for("mps", "fp16")


def test_one_gpu_is_not_enough_for_several_processes(gpus):
    gpus(4)
    stage = build_stage("train", "classifier", {"processes": 2})
    check_before([stage], "cuda")
    with pytest.raises(AugforgeError, match="2 processes need a GPU each, and cuda:1 is one") as caught:
        check_before([stage], "cuda:1")
    assert "CUDA_VISIBLE_DEVICES" in caught.value.hint


@pytest.mark.parametrize("device", ["gpu", "mps", "cuda:7"])
def test_refusing_a_device_loads_no_torch(device):
    """On a machine without a GPU; where there is a driver, torch has to be asked."""
    code = f"""
import sys
from augforge.errors import ModelError
from augforge.models.devices import check_device
try:
    check_device({device!r})
except ModelError as error:
    print("torch" in sys.modules, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if "cuda" not in device or "driver" in done.stdout:
        assert done.stdout.startswith("False ")
