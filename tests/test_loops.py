"""Training loops: batches that are half real, labels and weights, and every example of the page, run as it stands."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, load_from_disk
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from augforge.engine.run import run
from augforge.errors import SourceError
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.torch import HalfSynthetic, class_counts, soft_cross_entropy, soft_targets
from tests.conftest import write_images

PAGE = Path(__file__).parents[1] / "docs" / "loops.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
LONGEST = 25


def of_origins(real: int, synthetic: int) -> Dataset:
    return Dataset.from_dict({"origin": ["real", *["synthetic"] * synthetic, *["real"] * (real - 1)]})


@given(real=st.integers(1, 40), synthetic=st.integers(1, 40), half=st.integers(1, 8), epoch=st.integers(0, 3))
def test_half_of_each_batch_is_real_and_nothing_synthetic_comes_twice_before_all_came(real, synthetic, half, epoch):
    batches = HalfSynthetic(of_origins(real, synthetic), 2 * half, seed=1)
    batches.set_epoch(epoch)
    seen = list(batches)
    made = set(range(1, synthetic + 1))
    assert len(seen) == len(batches) == -(-max(real, synthetic) // half)
    assert all(len(batch) == 2 * half and sum(row in made for row in batch) == half for batch in seen)
    counts = Counter(row for batch in seen for row in batch if row in made)
    assert max(counts.values()) - min(counts[row] for row in made) <= 1


def test_the_same_seed_gives_the_same_batches_and_another_epoch_others():
    data = of_origins(30, 50)
    batches = HalfSynthetic(data, 10, seed=4)
    first = list(batches)
    assert list(HalfSynthetic(data, 10, seed=4)) == first != list(HalfSynthetic(data, 10, seed=5))
    batches.set_epoch(1)
    assert list(batches) != first


def test_without_synthetic_images_all_of_a_batch_is_real():
    assert [len(batch) for batch in HalfSynthetic(of_origins(9, 0), 4)] == [4, 4, 4]


def test_what_cannot_be_half_real_is_refused():
    with pytest.raises(SourceError, match="no real image"):
        HalfSynthetic(Dataset.from_dict({"origin": ["synthetic"]}), 4)
    with pytest.raises(SourceError, match="no column 'origin'"):
        HalfSynthetic(Dataset.from_dict({"label": [1]}), 4)
    with pytest.raises(ValueError, match="even"):
        HalfSynthetic(of_origins(2, 2), 5)


def labelled(labels: list[int], origins: list[str]) -> Dataset:
    from datasets import ClassLabel, Features, Value

    features = Features({"label": ClassLabel(names=["cat", "dog"]), "origin": Value("string")})
    return Dataset.from_dict({"label": labels, "origin": origins}, features=features)


def test_classes_are_counted_among_real_images_alone():
    data = labelled([0, 0, 0, 1, 1, 1], ["real", "real", "real", "real", "synthetic", "synthetic"])
    assert class_counts(data).tolist() == [3, 1]
    with pytest.raises(SourceError, match="'dog' has no real image"):
        class_counts(labelled([0, 1], ["real", "synthetic"]))


def test_a_soft_label_stands_before_the_label_and_a_row_without_either_has_no_say():
    batch = {"label": torch.tensor([1, 0, -100]), "soft_label": [None, torch.tensor([0.25, 0.75]), None]}
    assert soft_targets(batch, 2).tolist() == [[0, 1], [0.25, 0.75], [0, 0]]


def test_the_loss_is_the_cross_entropy_of_pytorch_where_that_has_one():
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.tensor([0, 2, 1, 1, 0])
    hard = soft_targets({"label": labels}, 3)
    assert torch.isclose(soft_cross_entropy(logits, hard), cross_entropy(logits, labels))
    weight = torch.tensor([0.0, 1.0, 2.0, 0.5, 1.5], dtype=torch.float64)
    expected = (weight * cross_entropy(logits, labels, reduction="none")).sum() / 5
    assert torch.isclose(soft_cross_entropy(logits, hard, weight=weight), expected)
    counts = torch.tensor([100.0, 10.0, 1.0])
    balanced = cross_entropy(logits + counts.double().log(), labels)
    assert torch.isclose(soft_cross_entropy(logits, hard, counts=counts), balanced)
    assert torch.isclose(soft_cross_entropy(logits, hard, counts=torch.full((3,), 7.0)), cross_entropy(logits, labels))


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run that the page speaks of: real images, and mixed ones with soft labels."""
    folder = tmp_path_factory.mktemp("birds")
    source = SourceSpec("folder", str(write_images(folder / "set", {"cat": 12, "dog": 6})))
    stage = build_stage("generate", "mix", {"op": "mixup", "per-class": 16})
    run(Recipe("birds", 3, (source,), (stage,)), folder / "runs" / "birds", device="cpu")
    return folder


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_examples_for_frameworks_are_short(number):
    assert len([line for line in BLOCKS[number].splitlines() if line.strip()]) <= LONGEST


def executed(block: str, names: dict[str, Any]) -> dict[str, Any]:
    exec(compile(block, PAGE.name, "exec"), names)
    return names


def test_the_loop_of_pytorch_trains_and_chooses_again(birds, monkeypatch):
    monkeypatch.chdir(birds)
    torch.manual_seed(0)
    rows = load_from_disk("runs/birds/dataset")
    assert set(rows["origin"]) == {"real", "synthetic"} and "soft_label" in rows.column_names
    names = executed(BLOCKS[0], {"__name__": "page"})
    before = {name: value.clone() for name, value in names["model"].state_dict().items()}
    executed(BLOCKS[1], names)
    chosen = names["chosen"]
    assert len(chosen) == 25 and chosen[0]["weight"] == pytest.approx(chosen.selection.weights[0])
    assert any(not torch.equal(value, before[name]) for name, value in names["model"].state_dict().items())


def test_the_trainer_of_hugging_face_trains(birds, monkeypatch):
    monkeypatch.chdir(birds)
    names = executed(BLOCKS[2], {"__name__": "page"})
    assert names["settings"].max_steps == 4 and list(Path("trained").glob("checkpoint-4"))


def test_lightning_trains_and_tells_the_batches_the_epoch(birds, monkeypatch):
    pytest.importorskip("lightning")
    monkeypatch.chdir(birds)
    block = BLOCKS[3].replace("max_epochs=1", "max_epochs=2, accelerator='cpu', enable_progress_bar=False")
    names = executed(block, {"__name__": "page"})
    assert names["trainer"].global_step == 8 and names["loader"].batch_sampler.epoch == 1
