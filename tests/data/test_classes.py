"""Expected counts: what images with several labels and soft labels count for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.data.classes import filed_under, one_label, plain, shares_of
from augforge.data.ledger import Ledger
from augforge.data.sample import Sample

CLASSES = ["cat", "dog", "bird"]


def ledger_of(*samples: tuple[str | None, dict], **fields) -> Ledger:
    ledger = Ledger(CLASSES)
    ledger.extend(
        Sample(id=f"{place:04d}", label=label, annotations=said, **fields)
        for place, (label, said) in enumerate(samples)
    )
    return ledger


def shares(draw: st.DrawFn) -> dict[str, float]:
    parts = draw(st.lists(st.integers(0, 7), min_size=3, max_size=3).filter(sum))
    return {name: part / sum(parts) for name, part in zip(CLASSES, parts, strict=True)}


@st.composite
def images(draw: st.DrawFn) -> list[tuple[str | None, dict]]:
    one = st.sampled_from(CLASSES).map(lambda name: (name, {}))
    several = st.lists(st.sampled_from(CLASSES), unique=True, max_size=3).map(lambda names: (None, {"labels": names}))
    soft = st.composite(shares)().map(lambda found: (None, {"soft_label": found}))
    none = st.just((None, {"caption": '"labels": nothing of the kind'}))
    return draw(st.lists(st.one_of(one, several, soft, none), max_size=12))


@given(images())
def test_counts_are_expectations(found):
    counts = ledger_of(*found).class_counts()
    for name in CLASSES:
        brute = sum(
            1.0 if label == name else float(name in said.get("labels", ())) or said.get("soft_label", {}).get(name, 0.0)
            for label, said in found
        )
        assert counts[name] == pytest.approx(brute, abs=6e-4)
    soft = sum("soft_label" in said for _, said in found)
    single = sum(label is not None for label, _ in found)
    several = sum(len(said.get("labels", ())) for _, said in found)
    assert math.isclose(sum(counts.values()), single + several + soft, abs_tol=3e-3)


@given(images(), st.randoms(use_true_random=False))
def test_the_order_of_images_does_not_matter(found, random):
    other = list(found)
    random.shuffle(other)
    assert ledger_of(*found).class_counts() == ledger_of(*other).class_counts()


@given(images())
def test_without_several_labels_counts_are_those_of_the_labels(found):
    plain_ones = [(label, said) for label, said in found if label is not None]
    counts = ledger_of(*plain_ones).class_counts()
    assert counts == {name: sum(label == name for label, _ in plain_ones) for name in CLASSES}
    assert all(isinstance(count, int) for count in counts.values())


@given(images(), images())
def test_what_is_added_later_is_looked_at_and_what_is_put_back_forgotten(first, later):
    ledger = ledger_of(*first)
    before, kept = ledger.class_counts(), ledger.copy()
    ledger.extend(Sample(id=f"later {i}", label=label, annotations=said) for i, (label, said) in enumerate(later))
    assert ledger.class_counts() == ledger_of(*first, *later).class_counts()
    ledger.restore(kept)
    assert ledger.class_counts() == before


def test_counting_the_label_alone_is_wrong():
    ledger = ledger_of(
        ("cat", {}), (None, {"labels": ["cat", "dog"]}), (None, {"soft_label": {"dog": 0.75, "bird": 0.25}})
    )
    assert ledger.class_counts() == {"cat": 2, "dog": 1.75, "bird": 0.25}
    wrong = {name: ledger.column("label").count(name) for name in CLASSES}
    assert wrong == {"cat": 1, "dog": 0, "bird": 0}


def test_a_label_goes_before_several():
    assert shares_of("cat", {"labels": ["dog", "bird"]}) == {"cat": 1}
    assert shares_of(None, {"labels": ["dog"], "soft_label": {"cat": 1.0}}) == {"dog": 1}
    assert ledger_of(("cat", {"labels": ["dog", "bird"]})).class_counts() == {"cat": 1, "dog": 0, "bird": 0}


def test_the_only_class_is_the_label():
    assert one_label(None, {"labels": ["cat"]}) == "cat"
    assert one_label(None, {"soft_label": {"cat": 1.0, "dog": 0.0}}) == "cat"
    assert one_label(None, {"labels": ["cat", "dog"]}) is None
    assert one_label(None, {"labels": []}) is None
    assert one_label("dog", {"labels": ["cat"]}) == "dog"


def test_an_image_is_filed_once_under_the_rarest_or_the_most_probable():
    counts = {"cat": 10.0, "dog": 3.0, "bird": 3.0}
    assert filed_under({"cat": 1, "bird": 1, "dog": 1}, counts) == "dog"
    assert filed_under({"cat": 0.2, "bird": 0.5, "dog": 0.3}, counts) == "bird"
    assert filed_under({"cat": 0.5, "bird": 0.5}, counts) == "cat"
    assert filed_under({}, counts) is None
    ledger = ledger_of(("cat", {}), ("cat", {}), (None, {"labels": ["cat", "dog"]}), (None, {"labels": []}))
    assert ledger.filed_under(ledger.visible()) == ["cat", "cat", "dog", None]


def test_how_images_are_filed_does_not_depend_on_what_was_dropped_or_is_an_evaluation():
    ledger = ledger_of(("cat", {}), ("dog", {}), ("dog", {}), (None, {"labels": ["dog", "cat"]}))
    last = np.array([3])
    assert ledger.filed_under(last) == ["cat"]
    ledger.drop(np.array([1, 2]), "gone", "2-filter-quality")
    assert ledger.filed_under(last) == ["cat"]
    ledger.resplit(np.array([1, 2]), ["test", "test"])
    ledger.extend([Sample(id="cat again", label="cat")])
    assert ledger.filed_under(last) == ["dog"]


def test_reference_takes_several_labels_only_where_asked():
    ledger = ledger_of(("cat", {}), (None, {"labels": ["cat", "dog"]}), (None, {}))
    assert ledger.reference().tolist() == [0]
    assert ledger.reference(several=True).tolist() == [0, 1]
    assert ledger.reference(unlabelled=True).tolist() == [0, 1, 2]


def test_plain_numbers():
    assert [plain(1.0), plain(0.3333333), plain(2.9999999)] == [1, 0.333, 3]
    assert isinstance(plain(2.9999999), int)


@given(images())
def test_filed_by_name_and_by_number_alike(found):
    ledger = ledger_of(*found)
    names = ledger.filed_under(ledger.visible())
    assert [CLASSES[i] if i >= 0 else None for i in ledger.filed_index(ledger.visible()).tolist()] == names
