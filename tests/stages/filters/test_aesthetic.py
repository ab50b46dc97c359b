import numpy as np
import pytest
from safetensors.numpy import save_file

from augforge.errors import ModelError
from augforge.recipe import build_stage
from augforge.stages.filters.aesthetic import Aesthetic
from tests.stages.filters.galleries import X, Y, Z, inputs


@pytest.fixture
def head(tmp_path):
    weights = {"weight": np.array([[3, -1, 0]], dtype=np.float32), "bias": np.array([5], dtype=np.float32)}
    save_file(weights, tmp_path / "head.safetensors")
    return str(tmp_path / "head.safetensors")


def test_the_score_is_what_the_head_makes_of_the_vector(head):
    diagonal = (X + Y) / np.sqrt(2, dtype=np.float32)
    found = Aesthetic(head=head).compare(inputs([X, Y, Z, diagonal], [0, 0, 1, -1]))["aesthetic"]
    assert found == pytest.approx([8, 4, 5, 5 + 2 / np.sqrt(2)])


def test_the_embedder_is_asked_for_vectors_and_the_head_is_a_model_of_the_run_too(head):
    stage = build_stage("filter", "aesthetic", {"head": head})
    assert stage.judge == ("ViT-L-14-quickgelu/openai", "image-embedding")
    assert stage.models() == [stage.judge, (head, "score-head")]


def test_a_head_of_another_embedder_is_refused(head):
    wide = np.ones((1, 5), dtype=np.float32)
    with pytest.raises(ModelError, match=r"takes 3 numbers, and .* gives 5") as caught:
        Aesthetic(head=head).compare(inputs(list(wide), [0]))
    assert "embedder that the head was trained on" in caught.value.hint
