"""The built-in ControlNet: the built-in model draws along the edges that it is given, and not along others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from augforge.algorithms.control import draw_edges
from augforge.algorithms.shifts.base import grey_of
from augforge.algorithms.shifts.edges import edges_of
from augforge.models import MODELS, find_model
from augforge.models.backends import open_backend
from augforge.models.backends.base import Control
from augforge.models.edges import edge_overlap
from augforge.models.known import DIGITS
from augforge.recipe import build_stage
from tests.models.test_builtin_sd import judge, real_digits, request

__all__ = ["judge"]


@pytest.fixture(scope="module")
def backend():
    return open_backend("controlnet", MODELS["builtin-sd"], "cpu", control=MODELS["builtin-controlnet"].location)


def control_of(picture: Image.Image) -> Image.Image:
    return Image.fromarray(draw_edges(edges_of(grey_of(np.asarray(picture)), 1.0, "otsu")))


def test_it_draws_along_the_edges(backend, judge):
    pictures = real_digits()
    asked = request(DIGITS, controls=[control_of(picture) for picture in pictures])

    def agreement(given) -> float:
        made = np.round(backend.generate(given) * 255).astype(np.uint8)
        return float(np.mean([edge_overlap(np.asarray(p), m, 1) for p, m in zip(pictures, made, strict=True)]))

    along = agreement(asked)
    assert along > 0.7
    assert along > agreement(replace(asked, control=Control(0.0))) + 0.15
    shuffled = replace(asked, controls=[*asked.controls[1:], asked.controls[0]])
    assert along > agreement(shuffled) + 0.15, "the known wrong way: by the edges of another digit"


def test_without_a_prompt_the_edges_say_what_it_is(backend, judge):
    asked = request(DIGITS, controls=[control_of(picture) for picture in real_digits()])
    silent = replace(asked, prompts=[""] * 10)
    assert (judge(backend.generate(silent)) == np.arange(10)).mean() >= 0.8
    assert (judge(backend.generate(replace(silent, control=Control(0.0)))) == np.arange(10)).mean() <= 0.4


def test_it_is_found_by_its_name_small_and_no_pickle():
    row = find_model("builtin-controlnet", "control")
    assert row.directory is not None and row.backends == ("control-net",)
    files = [path for path in Path(row.directory).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 400_000
    assert {path.suffix for path in files} == {".json", ".safetensors", ".md"}
    options = {"model": "builtin-sd", "controlnet": "builtin-controlnet", "control": "edges"}
    assert build_stage("generate", "controlled", options).backend_name == "controlnet"
