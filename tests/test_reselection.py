"""Choices that are made anew in a training loop: by gradients against closed forms, and at random."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from datasets import Image as ImageFeature
from PIL import Image
from torch import nn

from augforge.algorithms.selection import Selection, gradient_matching, softmax_residual
from augforge.torch import Reselected, as_tensors, at_random, matching_gradients, nearest_the_boundary

LABELS = [0] * 12 + [1] * 8
SHADES = [12 * row for row in range(20)]


def shaded(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (2, 2), (shade, 0, 0)).save(out, "PNG")
    return out.getvalue()


def data(labels: list[int] | None = None, weights: list[float] | None = None) -> Dataset:
    columns = {"image": [{"bytes": shaded(s), "path": None} for s in SHADES], "label": labels or LABELS}
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=["cat", "dog"])})
    if weights:
        columns["weight"], features["weight"] = weights, Value("float64")
    return as_tensors(Dataset.from_dict(columns, features=features))


class Brightness(nn.Module):
    """Logits (n, 2): how red an image is times `slope`, and 0; wrong numbers while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(2.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        red = images[:, 0].mean(dim=(1, 2)) * self.slope + (100.0 if self.training else 0.0)
        return torch.stack([red, torch.zeros_like(red)], dim=1)


def logits_at(slope: float) -> np.ndarray:
    red = np.array(SHADES) / 255 * slope
    return np.stack([red, np.zeros(20)], axis=1)


def test_it_matches_the_gradients_of_the_network_as_it_is() -> None:
    model, rows = Brightness(), data()
    choose = matching_gradients(model, rows, classes=2, share=0.3, batch_size=7)
    for number, slope in enumerate((2.0, -6.0)):
        with torch.no_grad():
            model.slope.fill_(slope)
        found = choose(number)
        expected = gradient_matching(softmax_residual(logits_at(slope), LABELS), 6, labels=LABELS)
        assert sorted(found.indices.tolist()) == sorted(expected.indices.tolist())
        np.testing.assert_allclose(sorted(found.weights), sorted(expected.weights), rtol=1e-3)
    assert model.training


class Head(nn.Module):
    """Logits of what a linear layer makes of red and green."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(images.mean(dim=(2, 3))[:, :2] + 0.5)


def test_with_its_head_the_gradient_is_the_one_that_torch_computes_of_the_last_layer() -> None:
    torch.manual_seed(0)
    model, rows = Head(), data()
    gradients = []
    for row in range(20):
        model.zero_grad()
        batch = rows[row]
        nn.functional.cross_entropy(model(batch["image"][None]), torch.tensor([batch["label"]])).backward()
        gradients.append(model.fc.weight.grad.flatten().numpy().copy())
    found = matching_gradients(model, rows, head=model.fc, classes=2, share=0.4, batch_size=6)(0)
    expected = gradient_matching(np.stack(gradients), 8, labels=LABELS)
    assert found.indices.tolist() == expected.indices.tolist()
    np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-3)
    assert not model.fc._forward_pre_hooks
    without = matching_gradients(model, rows, classes=2, share=0.4)(0)
    assert without.weights.tolist() != found.weights.tolist()


def test_weights_count_in_the_gradients_and_rows_without_a_label_are_never_chosen() -> None:
    heavy = [1.0] * 10 + [50.0, 50.0] + [1.0] * 8
    rows = data(weights=heavy)
    found = matching_gradients(Brightness(), rows, classes=2, share=0.2)(0)
    assert {10, 11} <= set(found.indices.tolist())
    loose = data(labels=[-1] * 5 + LABELS[5:])
    every = matching_gradients(Brightness(), loose, classes=2, share=1.0)(0)
    assert sorted(every.indices.tolist()) == list(range(5, 20))


def test_what_is_right_by_little_comes_first_then_what_is_nearly_right() -> None:
    """Cats are right and surer with every row; dogs are wrong, and by more with every row."""
    model, rows = Brightness(), data()
    assert [i for i in nearest_the_boundary(model, rows, classes=2, share=0.5)(0).indices if i < 12] == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]
    assert [i for i in nearest_the_boundary(model, rows, classes=2, share=0.5)(0).indices if i >= 12] == [
        12,
        13,
        14,
        15,
    ]
    with torch.no_grad():
        model.slope.fill_(-2.0)  # now cats are wrong, and dogs right
    found = nearest_the_boundary(model, rows, classes=2, share=0.25)(1)
    assert found.indices.tolist() == [0, 1, 2, 12, 13] and found.weights.tolist() == [1] * 5
    loose = data(labels=[-1] * 5 + LABELS[5:])
    assert nearest_the_boundary(Brightness(), loose, classes=2, share=1.0)(0).indices.min() == 5


def test_random_choices_are_others_each_time_by_class_and_repeat_with_the_seed() -> None:
    rows = data()
    choose = at_random(rows, share=0.5, seed=3)
    first = choose(0).indices.tolist()
    assert sum(LABELS[row] == 0 for row in first) == 6 and len(first) == 10
    assert first == at_random(rows, share=0.5, seed=3)(0).indices.tolist()
    assert first != choose(1).indices.tolist() and first != at_random(rows, share=0.5, seed=4)(0).indices.tolist()


def test_a_choice_stands_for_so_many_epochs_and_its_weights_multiply_the_rows() -> None:
    asked: list[int] = []

    def choose(number: int) -> Selection:
        asked.append(number)
        return Selection(np.array([number, 19]), np.zeros(2), np.array([0.5, 1.5]), 0.0, 0.0, "told")

    chosen = Reselected(data(weights=[2.0] * 20), choose, every=3)
    for epoch in range(7):
        chosen.set_epoch(epoch)
    assert asked == [0, 1, 2] and len(chosen) == 2
    assert [chosen[place]["weight"] for place in range(2)] == [1.0, 3.0]
    assert chosen[0]["image"][0, 0, 0] == pytest.approx(SHADES[2] / 255)
    chosen.set_epoch(4)
    assert asked == [0, 1, 2, 1]
    assert Reselected(data(), choose)[1]["weight"] == 1.5


def test_what_makes_no_sense_is_refused() -> None:
    nothing = Selection(np.array([], np.int64), np.zeros(0), np.zeros(0), 0.0, 0.0, "none")
    with pytest.raises(ValueError, match="choice 0 has no rows"):
        Reselected(data(), lambda number: nothing)
    with pytest.raises(ValueError, match="every is 0"):
        Reselected(data(), lambda number: nothing, every=0)
    for share in (0, 1.5):
        with pytest.raises(ValueError, match="share is"):
            at_random(data(), share=share)
