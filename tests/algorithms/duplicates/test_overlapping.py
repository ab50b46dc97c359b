"""Many pairs at once: each answer is that of `overlap` alone, to the last bit, whatever is asked with it."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.algorithms.duplicates import overlapping as module
from augforge.algorithms.duplicates.crops import overlap
from augforge.algorithms.duplicates.hashes import Small, reduced, shrunk
from augforge.algorithms.duplicates.overlapping import overlapping
from augforge.algorithms.duplicates.pairs import Pairs
from tests.algorithms.duplicates.drawings import drawing
from tests.algorithms.duplicates.pictures import edits, jpeg, mirror, picture, png


@pytest.fixture(scope="module")
def smalls() -> Small:
    """(48, 32, 32) pictures, crops and mirror images of them, drawings, noise, and pictures of next to nothing."""
    files = [png(picture(seed)) for seed in range(8)]
    files += [jpeg(edits(picture(seed))["crop"]) for seed in range(8)] + [png(mirror(picture(seed))) for seed in (1, 2)]
    files += [png(drawing(seed)) for seed in range(6)]
    noise = np.random.default_rng(0).integers(0, 256, (18, 32, 32), dtype=np.uint8)
    nothing = np.full((6, 32, 32), 128, dtype=np.uint8)
    nothing[3, 0, 0], nothing[4, 16, 16] = 129, 127
    nothing[5] = np.arange(32)
    return np.concatenate([shrunk([reduced(file) for file in files]), noise, nothing])


def all_pairs(count: int) -> Pairs:
    """(p, 2) every two of them."""
    return np.argwhere(np.triu(np.ones((count, count), dtype=bool), k=1))


@pytest.mark.parametrize("flips", [True, False])
@pytest.mark.parametrize("smallest", [26, 29, 32])
def test_it_says_what_each_pair_alone_would_say(smalls: Small, flips: bool, smallest: int) -> None:
    pairs = all_pairs(len(smalls))
    values = overlap(smalls[pairs[:, 0]], smalls[pairs[:, 1]], flips=flips, smallest=smallest)
    for least in (0.1, 0.3, 0.82, 0.95):
        found = overlapping(smalls, pairs, least, flips=flips, smallest=smallest)
        assert found.tolist() == (values >= least).tolist() and 0 < found.sum() < len(found)


def at_the_bound(smalls: Small, pairs: Pairs) -> bool:
    """Whether pairs whose overlap is just the bound are told from those that are just below it."""
    values = overlap(smalls[pairs[:, 0]], smalls[pairs[:, 1]], smallest=29)
    bounds = values[(values > 0.1) & (values < 0.99)][:24]
    answers = (
        overlapping(smalls, pairs, float(bound), smallest=29).tolist() == (values >= bound).tolist()
        and overlapping(smalls, pairs, float(np.nextafter(bound, 2)), smallest=29).tolist() == (values > bound).tolist()
        for bound in bounds
    )
    return all(answers)


def test_at_the_bound_rounding_does_not_decide(smalls: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wrong variant takes the products at their word: what they round to depends on what else is in them."""
    pairs = all_pairs(len(smalls))[::5]
    assert at_the_bound(smalls, pairs)
    monkeypatch.setattr(module, "_ROUNDING", 0.0)
    assert not at_the_bound(smalls, pairs)


def test_neither_order_nor_company_matters(smalls: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = all_pairs(len(smalls))
    found = overlapping(smalls, pairs, 0.5)
    order = np.random.default_rng(1).permutation(len(pairs))
    assert (overlapping(smalls, pairs[order], 0.5) == found[order]).all()
    assert (overlapping(smalls, pairs[:, ::-1], 0.5) == found).all()
    monkeypatch.setattr(module, "_PAIRS", 7)
    monkeypatch.setattr(module, "_MOST", 2)
    assert (overlapping(smalls, pairs, 0.5) == found).all()


def test_nothing_to_compare() -> None:
    nothing = np.zeros((0, 32, 32), dtype=np.uint8), np.zeros((0, 2), dtype=np.int64)
    assert overlapping(*nothing, 0.8).shape == (0,)
