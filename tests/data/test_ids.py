import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.data import ids

JSONLIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSONLIKE)
def test_a_key_is_twenty_hex_digits_and_repeats(value):
    assert ids.key(value) == ids.key(value)
    assert len(ids.key(value)) == 20 and int(ids.key(value), 16) >= 0


@given(JSONLIKE, JSONLIKE)
def test_other_content_gives_another_key(one, other):
    assert (ids.key(one) == ids.key(other)) == (ids.canonical(one) == ids.canonical(other))


@settings(max_examples=30, deadline=None)
@given(JSONLIKE, st.lists(JSONLIKE, max_size=4), st.lists(st.lists(JSONLIKE), max_size=3))
def test_an_iterator_is_the_list_of_what_it_gives(plain, items, nested):
    assert ids.key(plain, iter(items), plain) == ids.key(plain, items, plain)
    assert ids.key(iter([plain, *map(iter, nested), plain])) == ids.key([plain, *nested, plain])


def test_a_long_iterator_is_its_list_too():
    assert ids.key(iter(range(5000)), "x") == ids.key(list(range(5000)), "x")


def test_a_key_does_not_join_its_parts():
    assert ids.key("ab", "c") != ids.key("a", "bc")


def test_the_order_of_a_mapping_does_not_matter():
    assert ids.key({"a": 1, "b": 2}) == ids.key({"b": 2, "a": 1})


def test_a_known_key_stays_what_it_is():
    assert ids.key("real", "abc", "cat", 0) == "c15bf30a27e7b6fc59c5"


def test_seeds_fit_a_signed_64_bit_column():
    assert all(0 <= ids.seed_of(str(i)) < 2**63 for i in range(1000))


def test_unit_is_uniform_and_thresholds_nest():
    values = np.array([ids.unit("name", i) for i in range(20_000)])
    assert 0.24 < (values < 0.25).mean() < 0.26
    assert values.min() >= 0 and values.max() < 1


def test_a_draw_for_another_purpose_does_not_shift_the_first():
    first = ids.rng(7, "mix").random(3)
    ids.rng(7, "crop").random(100)
    assert (ids.rng(7, "mix").random(3) == first).all()
    assert not np.allclose(ids.rng(7, "crop").random(3), first)
