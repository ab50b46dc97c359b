"""DiT: a class by any of its names, and one that it does not know refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from augforge.errors import ModelError
from augforge.models import find_model
from augforge.recipe import build_stage
from tests.models.conftest import Checkpoint, Opener
from tests.models.requests import difference, request_for
from tests.tiny_newer import LABELS


def test_it_knows_the_names_of_its_checkpoint(opened: Opener) -> None:
    assert set(opened("class-conditional").labels) == {"tench", "Tinca tinca", "goldfish", "golden retriever"}


def test_names_of_one_class_make_one_picture_and_another_class_another(opened: Opener) -> None:
    backend = opened("class-conditional")
    request = replace(request_for(backend), labels=["tench", "goldfish", "golden retriever"])
    same = replace(request, labels=["tinca_Tinca", "GOLDFISH", "golden_retriever"])
    assert np.array_equal(backend.generate(request), backend.generate(same))
    other = backend.generate(replace(request, labels=["goldfish", "goldfish", "golden retriever"]))
    assert difference(backend.generate(request)[0], other[0]) > 1e-4
    assert np.array_equal(backend.generate(request)[1:], other[1:])


def test_an_unknown_class_is_refused_by_name(opened: Opener) -> None:
    backend = opened("class-conditional")
    request = request_for(backend)
    with pytest.raises(ModelError, match="knows no class 'goldfich'") as caught:
        backend.generate(replace(request, labels=["tench", "goldfich", "tench"]))
    assert "goldfish" in caught.value.hint
    with pytest.raises(ModelError, match="needs a class"):
        backend.generate(replace(request, labels=None))


def test_it_makes_its_own_size_only(opened: Opener) -> None:
    backend = opened("class-conditional")
    request = request_for(backend)
    assert np.array_equal(backend.generate(request), backend.generate(replace(request, size=None)))
    with pytest.raises(ModelError, match="of 32x32 px only"):
        backend.generate(replace(request, size=(64, 32)))


def test_a_stage_takes_it_and_knows_its_classes_before_it_is_loaded(checkpoint: Checkpoint) -> None:
    model = str(checkpoint("dit"))
    assert find_model(model, "text-to-image").knows == {
        name.casefold() for names in LABELS.values() for name in names.split(", ")
    }
    stage = build_stage("generate", "text2img", {"model": model})
    assert stage.backend_name == "class-conditional"
    assert stage.prompt_of("goldfish", 1) == {}
