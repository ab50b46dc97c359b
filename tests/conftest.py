"""Fixtures shared by all tests: tiny models of the real classes, built once, and small image folders."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

settings.register_profile("noisy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("noisy")  # how long an example takes says how busy the machine is, and nothing else
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs, and so theirs, would not hear it
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # the models are tiny: threads would only get in each other's way
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
FORKS: list[None] = []
os.register_at_fork(before=lambda: FORKS.append(None))


@pytest.fixture(autouse=True)
def no_forks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that forks this process of many threads: its child may wait for ever for a lock that none holds."""
    FORKS.clear()
    yield
    if FORKS and not any(request.node.get_closest_marker(name) for name in ("slow", "forks")):
        pytest.fail(f"{len(FORKS)} forks of a process of many threads: spawn, or ask the library for no processes")


@pytest.fixture(scope="session")
def tiny_unclip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A StableUnCLIP img2img pipeline of the real classes with random weights, saved as a checkpoint is."""
    from tests.tiny import save_tiny_unclip

    return save_tiny_unclip(tmp_path_factory.mktemp("models") / "tiny-unclip")


@pytest.fixture(scope="session")
def tiny_models(
    tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path, tiny_unclip: Path, tiny_vlm: Path
) -> dict[str, str]:
    """A tiny model for every task that a stage can ask for."""
    from tests.tiny import save_tiny_depth, save_tiny_head, save_tiny_reward, save_tiny_text_detector, save_tiny_vit
    from tests.tiny_backends import save_tiny_sd, save_tiny_variation
    from tests.tiny_controls import save_tiny_controlnet
    from tests.tiny_vision_language import save_tiny_language

    folder = tmp_path_factory.mktemp("models")
    plain = str(save_tiny_sd(folder / "tiny-sd"))
    special = {
        "classifier": {"embedder": str(tiny_clip)},
        "night": {"steps": 40, "rate": 0.01},
        "paired": {"steps": 20, "rate": 0.01},
        "efficientad": {"features": str(tiny_clip)},
        "lora": {"model": str(tiny_unclip)},
    }
    trained = {name: str(train_tiny(name, folder, special.get(name, {}))) for name in TRAINERS}
    return {
        **{task: trained[name] for name, task in TRAINERS.items()},
        "attention": str(save_tiny_vit(folder / "tiny-vit")),
        "edges": "edge-operator",
        "depth-estimation": str(save_tiny_depth(folder / "tiny-depth")),
        "image-text": str(tiny_clip),
        "preference": str(tiny_clip),
        "image-reward": str(save_tiny_reward(folder / "tiny-reward")),
        "safety": str(tiny_clip),
        "image-embedding": str(tiny_clip),
        "conditioning": str(tiny_unclip),
        "fine-tuning": str(tiny_unclip),
        "text-to-image": plain,
        "image-to-image": plain,
        "variation": str(save_tiny_variation(folder / "tiny-variation")),
        "outpainting": trained["diffusion"],
        "autoencoder": plain,
        "image-text-to-text": str(tiny_vlm),
        "text-generation": str(save_tiny_language(folder / "tiny-language")),
        "inpainting": plain,
        "controlled": plain,
        "control": str(save_tiny_controlnet(folder / "tiny-controlnet", folder / "tiny-sd")),
        "text-detection": str(save_tiny_text_detector(folder / "tiny-text-detector")),
        "score-head": str(save_tiny_head(folder / "tiny-head.safetensors")),
    }


TRAINERS = {
    "night": "night",
    "paired": "paired",
    "classifier": "classification",
    "efficientad": "anomaly",
    "diffusion": "unconditional",
    "lora": "lora",
}
"""Our trainers, and the tasks of what they train."""


def train_tiny(name: str, folder: Path, options: dict[str, Any]) -> Path:
    """A model directory of the trainer `name`, after the few steps of its example."""
    from augforge.engine.runners.train import train_alone
    from augforge.recipe import Recipe, SourceSpec, build_stage
    from augforge.stages.catalog import stage_class

    source = write_images(folder / f"pictures-{name}", {"cat": 6, "dog": 4, "lone": 1})
    stage = build_stage("train", name, {**stage_class("train", name).example, **options})
    train_alone(
        Recipe("tiny", 1, (SourceSpec("folder", str(source)),), (stage,)), folder / f"tiny-{name}", device="cpu"
    )
    return folder / f"tiny-{name}"


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An open_clip model with random weights, saved as a checkpoint is."""
    from tests.tiny import save_tiny_clip

    return save_tiny_clip(tmp_path_factory.mktemp("models") / "tiny-clip")


@pytest.fixture(scope="session")
def tiny_vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vision-language model with random weights, saved as a checkpoint is."""
    from tests.tiny_vision_language import save_tiny_idefics3

    return save_tiny_idefics3(tmp_path_factory.mktemp("models") / "tiny-idefics3")


def write_images(folder: Path, counts: dict[str, int], seed: int = 0, size: int = 32) -> Path:
    """A class folder with `counts` random smooth PNG pictures per class, each class with its own tint."""
    random = np.random.default_rng(seed)
    for number, (label, count) in enumerate(counts.items()):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            small = random.uniform(0, 128, (4, 4, 3)) + np.eye(3)[number % 3] * 127
            image = Image.fromarray(small.astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
            image.save(folder / label / f"{index:04d}.png")
    return folder


def trap(folder: Path) -> Path:
    """A folder with an `augforge` that is none of ours: no process of a run in it may run its code."""
    (folder / "augforge").mkdir(parents=True)
    (folder / "augforge" / "__init__.py").write_text("raise SystemExit('code of the present folder was run')")
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with three classes of 6, 4 and 1 pictures."""
    return write_images(tmp_path / "pictures", {"cat": 6, "dog": 4, "lone": 1})


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A running Chromium, one for all tests: Playwright runs once in a process."""
    from tests.report.browsing import CHROMIUM

    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (the extra `dev`)")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()
