"""Intersection over union: closed form, torchmetrics, brute force; what does not count; images drawn again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics import JaccardIndex

from augforge.algorithms.metrics.overlap import (
    VOID,
    bootstrap_error,
    class_iou,
    confusion,
    mean_iou,
    pixel_accuracy,
)


def test_two_classes_in_closed_form():
    truth = np.array([[0, 0, 1, 1]], dtype=np.uint8)
    said = np.array([[0, 1, 1, 1]], dtype=np.uint8)
    counts = confusion(truth, said, 2)
    assert counts.tolist() == [[1, 1], [0, 2]]
    assert class_iou(counts).tolist() == [1 / 2, 2 / 3]
    assert mean_iou(counts) == pytest.approx(7 / 12) and pixel_accuracy(counts) == 3 / 4


def test_pixels_that_do_not_count_change_nothing():
    truth = np.array([[0, 1, VOID, VOID]], dtype=np.uint8)
    said = np.array([[0, 1, 0, 1]], dtype=np.uint8)
    assert confusion(truth, said, 2).tolist() == [[1, 0], [0, 1]]


def test_a_class_that_is_nowhere_is_not_judged_and_one_that_is_only_said_counts_as_missed():
    nowhere = confusion(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8), 3)
    assert mean_iou(nowhere) == 1 and np.isnan(class_iou(nowhere)[1:]).all()
    said = confusion(np.zeros((1, 2), np.uint8), np.array([[0, 2]], np.uint8), 3)
    assert class_iou(said)[[0, 2]].tolist() == [0.5, 0] and mean_iou(said) == 0.25


@given(st.integers(0, 10_000))
def test_it_is_torchmetrics_of_all_pixels_together(seed):
    random = np.random.default_rng(seed)
    truth, said = random.integers(3, size=(2, 4, 5, 6)).astype(np.uint8)
    counts = np.stack([confusion(a, b, 3) for a, b in zip(truth, said, strict=True)])
    known = JaccardIndex("multiclass", num_classes=3)(torch.from_numpy(said).int(), torch.from_numpy(truth).int())
    assert mean_iou(counts.sum(0)) == pytest.approx(float(known), abs=1e-6)


def test_the_mean_over_images_is_another_number():
    truth = np.array([[[0] * 9 + [1]], [[1] * 10]], dtype=np.uint8)
    said = np.array([[[0] * 10], [[1] * 10]], dtype=np.uint8)
    counts = np.stack([confusion(a, b, 2) for a, b in zip(truth, said, strict=True)])
    assert mean_iou(counts.sum(0)) != pytest.approx(np.mean(mean_iou(counts)))


def test_the_error_over_test_images_is_that_of_images_drawn_one_by_one():
    random = np.random.default_rng(0)
    ours, theirs = random.integers(1, 30, size=(2, 2, 12, 3, 3))
    gains = []
    for _ in range(3000):
        rows = random.integers(12, size=12)
        pairs = zip(ours, theirs, strict=True)
        gains.append(np.mean([mean_iou(a[rows].sum(0)) - mean_iou(b[rows].sum(0)) for a, b in pairs]))
    assert bootstrap_error(ours, theirs, rounds=3000) == pytest.approx(np.std(gains), rel=0.06)
    assert bootstrap_error(ours, ours) == 0
