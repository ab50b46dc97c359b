"""Whose caption goes into whose prompt: a permutation, fair, and nothing else's business."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.data.pool import Pool, Pools
from augforge.data.sample import Sample


def sample(number: int, label: str = "cat", caption: str | None = "somewhere") -> Sample:
    said = {} if caption is None else {"caption": caption}
    return Sample(id=f"{number:04d}", label=label, digest=f"d{number}", annotations=said)


def pools(samples, seed: int = 0) -> Pools:
    labels = dict.fromkeys(each.label for each in samples)
    return Pools({label: Pool(each for each in samples if each.label == label) for label in labels}, seed=seed)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30), st.integers(0, 5), st.integers(0, 5))
def test_shuffled_contexts_are_a_permutation_without_a_fixed_point(count, variant, seed):
    samples = [sample(number) for number in range(count)]
    contexts = pools(samples, seed).contexts
    donors = [contexts.of_another(each, variant).id for each in samples]
    assert sorted(donors) == [each.id for each in samples]
    assert all(donor != each.id for donor, each in zip(donors, samples, strict=True))


def test_every_other_image_is_as_likely_a_donor_whatever_its_class():
    samples = [sample(number, "cat" if number < 2 else "dog") for number in range(6)]
    met = Counter(pools(samples, seed).contexts.of_another(samples[0], 0).id for seed in range(3000))
    assert met.keys() == {each.id for each in samples[1:]}
    expected = 3000 / 5
    assert sum((count - expected) ** 2 / expected for count in met.values()) < 18.5  # chi-squared of 4, p = 0.001
    by_class = Counter("cat" if identity < "0002" else "dog" for identity in met.elements())
    assert abs(by_class["dog"] / 3000 - 4 / 5) < 0.03  # the wrong variant, a donor of another class each time, is 1


def test_seed_and_variant_change_who_gives_and_the_order_of_the_images_does_not():
    samples = [sample(number) for number in range(20)]

    def all_donors(given, seed, variant):
        return {each.id: pools(given, seed).contexts.of_another(each, variant).id for each in samples}

    first = all_donors(samples, 0, 0)
    assert first != all_donors(samples, 1, 0) and first != all_donors(samples, 0, 1)
    assert first == all_donors(samples[::-1], 0, 0)


def test_one_image_more_changes_one_choice():
    samples = [sample(number) for number in range(20)]
    more = [*samples, sample(99)]
    before, after = (
        {each.id: pools(given).contexts.of_another(each, 0).id for each in samples} for given in (samples, more)
    )
    assert sum(before[identity] != after[identity] for identity in before) == 1


def test_an_image_without_a_caption_gives_none_and_may_be_given_one():
    samples = [sample(0, caption=None), sample(1), sample(2, caption="")]
    contexts = pools(samples).contexts
    assert contexts.of_another(samples[0], 0).id == contexts.of_another(samples[2], 0).id == "0001"
    assert contexts.of_another(samples[1], 0) is None
    assert pools(samples[:1]).contexts.of_another(samples[0], 0) is None


@pytest.mark.parametrize("own", [True, False])
def test_without_a_parent_it_is_one_of_the_class_or_of_all(own):
    samples = [sample(number, "cat" if number < 3 else "dog") for number in range(9)]
    contexts = pools(samples).contexts
    met = {contexts.of_any("cat", variant, own).id for variant in range(200)}
    assert met == {each.id for each in (samples[:3] if own else samples)}
