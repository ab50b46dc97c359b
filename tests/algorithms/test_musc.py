"""MuSc against a version in plain loops, and its known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from augforge.algorithms import musc
from augforge.algorithms.musc import anomaly_maps, interval_mean, nearest, neighbourhoods, rescored

SHAPES = ((6, 4, 5), (3, 4, 5))  # (d, h, w) of each layer


def features(count: int, seed: int = 0, shapes=SHAPES) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(count, *shape, generator=random) for shape in shapes]


def pooled(layer: np.ndarray, side: int) -> np.ndarray:
    """(n, h, w, d) by loops."""
    normed = layer.transpose(0, 2, 3, 1)
    normed = (normed - normed.mean(-1, keepdims=True)) / np.sqrt(normed.var(-1, keepdims=True) + 1e-5)
    out, half = np.zeros_like(normed), side // 2
    for y in range(normed.shape[1]):
        for x in range(normed.shape[2]):
            near = normed[:, max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
            out[:, y, x] = near.mean(axis=(1, 2))
    return out


def by_loops(images, others, itself, sides=(1, 3, 5), lowest=0.3) -> np.ndarray:
    n, _, h, w = images[0].shape
    total = np.zeros((n, h, w))
    for layer, beside in zip(images, others, strict=True):
        for side in sides:
            mine, theirs = (pooled(t.double().numpy(), side) for t in (layer, beside))
            for i in range(n):
                for y in range(h):
                    for x in range(w):
                        found = [
                            min(np.linalg.norm(mine[i, y, x] - patch) for patch in other.reshape(-1, other.shape[-1]))
                            for number, other in enumerate(theirs)
                            if number != itself[i]
                        ]
                        count = max(1, int(lowest * len(found) + 1e-9))
                        total[i, y, x] += np.mean(sorted(found)[:count])
    return total / (len(images) * len(sides))


def test_it_is_what_loops_over_all_patches_give(monkeypatch):
    images, others = features(3, 0), features(7, 1)
    images = [torch.cat([a[:2], b[4:5]]) for a, b in zip(images, others, strict=True)]
    expected = by_loops(images, others, [-1, -1, 4])
    assert anomaly_maps(images, others, [-1, -1, 4]).numpy() == pytest.approx(expected, abs=1e-4)
    monkeypatch.setattr(musc, "AT_ONCE", 1)  # one other image at a time: the same, whatever the memory
    assert anomaly_maps(images, others, [-1, -1, 4]).numpy() == pytest.approx(expected, abs=1e-4)
    wrong = anomaly_maps(images, others, [-1, -1, -1])  # itself among the others
    assert wrong[2].max() < 0.9 * expected[2].max()


def test_no_more_distances_than_allowed_are_held(monkeypatch):
    held = []
    whole = torch.cdist
    monkeypatch.setattr(torch, "cdist", lambda a, b: held.append(len(a) * len(b)) or whole(a, b))
    monkeypatch.setattr(musc, "AT_ONCE", 20 * 20 * 3)
    nearest(torch.zeros(20, 4), torch.zeros(10, 20, 4))
    assert max(held) <= 20 * 20 * 3 and len(held) == 4


def test_a_planted_odd_patch_has_the_top_score_and_its_place():
    twins = features(1, 3, ((32, 6, 6),))[0]
    images = [twins.repeat(8, 1, 1, 1) + 0.05 * features(8, 4, ((32, 6, 6),))[0]]
    images[0][5, :, 2, 3] = torch.randn(32, generator=torch.Generator().manual_seed(9))
    maps = anomaly_maps(images, images, list(range(8)), sides=(1,))
    scores = maps.flatten(1).amax(1).numpy()
    assert scores.argmax() == 5 and scores[5] > 4 * np.sort(scores)[-2]
    assert divmod(int(maps[5].argmax()), 6) == (2, 3)


def test_another_order_of_images_is_another_order_of_scores():
    images = features(6)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    maps = anomaly_maps(images, images, list(range(6)))
    moved = [layer[order] for layer in images]
    assert torch.allclose(anomaly_maps(moved, moved, list(range(6))), maps[order], atol=1e-5)


def test_a_neighbourhood_of_one_is_the_patch_and_a_constant_map_stays_constant():
    (layer,) = features(2, 5, ((4, 3, 3),))
    normed = torch.nn.functional.layer_norm(layer.permute(0, 2, 3, 1), (4,))
    assert torch.allclose(neighbourhoods(layer, 1), normed.reshape(2, 9, 4), atol=1e-6)
    constant = layer[:, :, :1, :1].expand(2, 4, 3, 3)
    for side in (3, 5):  # with zeros beyond the border it would fall there
        assert torch.allclose(neighbourhoods(constant, side), neighbourhoods(constant, 1), atol=1e-6)


@pytest.mark.parametrize("others", [1, 2, 3])
def test_with_fewer_than_four_others_the_nearest_counts_and_without_any_it_is_refused(others):
    distances = torch.arange(1.0, others + 1)[None]
    assert interval_mean(distances, 0.3).tolist() == [1.0]
    assert torch.zeros(0).mean().isnan()  # the published interval
    with pytest.raises(ValueError, match="another image"):
        interval_mean(torch.zeros(2, 0), 0.3)


def test_layers_of_another_size_are_resized_to_the_largest():
    images = features(5, 0, ((4, 6, 6), (4, 3, 3)))
    maps = anomaly_maps(images, images, list(range(5)), sides=(1,))
    assert maps.shape == (5, 6, 6)
    alone = [anomaly_maps([layer], [layer], list(range(5)), sides=(1,)) for layer in images]
    small = torch.nn.functional.interpolate(alone[1][:, None], size=(6, 6), mode="bilinear")[:, 0]
    assert torch.allclose(maps, (alone[0] + small) / 2, atol=1e-6)


def test_a_neighbourhood_of_one_image_is_the_min_max_scale():
    reference = np.array([2.0, 4.0, 6.0])
    found = rescored(np.array([2.0, 5.0, 8.0]), np.full((3, 3), 0.5), reference, sizes=(1,))
    assert found.tolist() == [0.0, 0.75, 1.5]


def test_similar_images_have_a_say_as_large_as_their_similarity():
    scores, reference = np.array([1.0]), np.array([0.0, 1.0, 0.5])
    similarities = np.array([[0.8, -np.inf, 0.4]])
    two, three = (1 + 0.8 * 0) / 1.8, (1 + 0.8 * 0 + 0.4 * 0.5) / 2.2
    assert rescored(scores, similarities, reference) == pytest.approx([(1 + two + three) / 3])
    assert rescored(scores, np.array([[-0.5, -np.inf, -0.1]]), reference) == pytest.approx([1.0])


def test_equal_scores_divide_by_nothing():
    assert rescored(np.array([3.0, 3.0]), np.ones((2, 2)), np.array([3.0, 3.0])).tolist() == [0.0, 0.0]
    assert rescored(np.array([3.0]), np.ones((1, 0)), np.zeros(0)).tolist() == [0.0]
