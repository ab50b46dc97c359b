"""Whether a model of the hub is here or can be had: by names of files, at once, and without a library of models."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from augforge.errors import ModelError
from augforge.models import MODELS, find_model, hub


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and an environment that does not forbid to download."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return tmp_path


def put(cache: Path, repository: str, *files: str, revision: str = "main") -> None:
    """Files of a repository as huggingface_hub keeps them."""
    folder = cache / ("models--" + repository.replace("/", "--"))
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / revision).write_text("0" * 40)
    for file in files:
        path = folder / "snapshots" / ("0" * 40) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_weights_in_the_cache_are_found_and_configurations_alone_are_not(cache):
    put(cache, "someone/model", "config.json", "unet/config.json")
    assert not hub.is_cached("someone/model")
    put(cache, "someone/model", "unet/weights.safetensors")
    assert hub.is_cached("someone/model") and not hub.is_cached("someone/model", "v2")
    put(cache, "someone/model", "a.safetensors", revision="v2")
    assert hub.is_cached("someone/model", "v2") and hub.is_cached("someone/model", "0" * 40)


def test_the_repositories_of_open_clip_are_those_that_it_tells():
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    told = hub.open_clip_weights()
    known = {f"{a}/{t}": get_pretrained_cfg(a, t).get("hf_hub", "") for a, t in open_clip.list_pretrained()}
    assert told.keys() == known.keys() and len(told) > 100
    assert all(known[name].startswith(told[name]) for name in told)
    assert hub.repository_of(MODELS["vit-b-32"].location) == "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"


@pytest.mark.parametrize("name", ["builtin-clip", "builtin-unclip", "builtin-sd", "edge-operator", "open-nsfw"])
def test_what_is_here_is_on_no_hub(name):
    assert hub.repository_of(MODELS[name].location) is None and MODELS[name].is_here


def test_offline_it_is_said_at_once_with_every_way_out(cache, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError) as caught:
        hub.check_at_hand(MODELS["sd15"], "text-to-image")
    assert caught.value.message == (
        "the model 'sd15' cannot be had from the hub: it is not on this machine, and HF_HUB_OFFLINE forbids to download"
        " it"
    )
    for way in ("hf download stable-diffusion-v1-5/stable-diffusion-v1-5", "--model DIRECTORY", "--model builtin-sd"):
        assert way in caught.value.hint
    put(cache, "stable-diffusion-v1-5/stable-diffusion-v1-5", "unet/weights.safetensors")
    hub.check_at_hand(MODELS["sd15"], "text-to-image")


def test_online_nothing_is_refused(cache, monkeypatch):
    monkeypatch.setattr(hub, "_answers", lambda endpoint: True)
    hub.check_at_hand(MODELS["sd15"], "text-to-image")
    assert hub.failure(OSError("404 not found\nmore")) == "the download failed: 404 not found"


def test_a_server_that_answers_is_in_reach_and_one_that_does_not_costs_seconds_at_most(cache, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    hub._answers.cache_clear()
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert hub._answers(here)
    hub._answers.cache_clear()
    assert not hub._answers(here)
    monkeypatch.setattr(hub, "PROBE_SECONDS", 0.2)
    monkeypatch.setattr(socket, "create_connection", lambda *a, **o: time.sleep(5))  # a name server that is silent
    hub._answers.cache_clear()
    began = time.monotonic()
    assert not hub._answers("http://nowhere.invalid") and time.monotonic() - began < 2
    hub._answers.cache_clear()


def test_the_proxy_is_asked_where_there_is_one(cache, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "")
        hub._answers.cache_clear()
        assert hub._answers("https://hub.invalid")
    hub._answers.cache_clear()


def test_a_package_that_is_missing_is_said_with_what_to_install(monkeypatch):
    from augforge.models import table

    monkeypatch.setattr(table.importlib.util, "find_spec", lambda package: None)
    with pytest.raises(ModelError, match="not installed") as caught:
        hub.check_at_hand(MODELS["efficientnet-lite2"], "image-embedding")
    assert caught.value.hint == "pip install 'augforge[photos]'"
    with pytest.raises(ModelError) as caught:
        hub.check_location("hub:no/body", task="safety")
    assert "--model open-nsfw (pip install 'augforge[nsfw]')" in caught.value.hint


def test_it_takes_no_library_of_models():
    code = (
        "import sys; from augforge.models import find_model, hub\n"
        "hub.open_clip_weights()\n"
        "try: hub.check_at_hand(find_model('vit-b-32', 'image-text'), 'image-text')\n"
        "except Exception: pass\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'open_clip', 'timm'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_timms_own_weights(cache, monkeypatch):
    monkeypatch.setattr(hub, "out_of_reach", lambda: hub.OFFLINE)
    with pytest.raises(ModelError, match="timm:resnet18 cannot be had"):
        hub.check_timm("resnet18")
    put(cache, "timm/resnet18.a1_in1k", "model.safetensors")
    hub.check_timm("resnet18")


def test_a_name_that_stands_for_two_things_is_looked_up_in_the_table(cache):
    assert find_model("open-nsfw", "safety").backends == ("open-nsfw",)
    assert find_model("vit-b-32", "safety").backends == ("open_clip",)
