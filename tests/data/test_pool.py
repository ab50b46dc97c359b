from collections import Counter

from augforge.data.pool import Pool
from augforge.data.sample import Sample


def samples(count):
    return [Sample(id=f"{i:020x}", label="cat", digest=f"d{i}") for i in range(count)]


def test_turns_use_every_image_before_any_twice():
    pool = Pool(samples(7))
    assert Counter(parent.id for parent, _ in pool.cycle(14)).most_common()[-1][1] == 2
    assert [variant for _, variant in pool.cycle(15)] == [0] * 7 + [1] * 7 + [2]


def test_more_turns_only_add():
    pool = Pool(samples(7))
    assert list(pool.cycle(20))[:12] == list(pool.cycle(12))


def test_order_does_not_matter():
    assert list(Pool(samples(9)).cycle(9)) == list(Pool(reversed(samples(9))).cycle(9))


def test_shots_are_never_exceeded_and_nest():
    few, more = Pool(samples(50), shots=4), Pool(samples(50), shots=8)
    assert len(few) == 4 and {s.id for s in few.samples} < {s.id for s in more.samples}
    inside = {s.id for s in few.samples}
    assert all(few.partner(parent, variant).id in inside for parent, variant in few.cycle(100))


def test_a_partner_is_another_picture():
    pool = Pool(samples(5))
    assert all(pool.partner(parent, v).digest != parent.digest for parent, v in pool.cycle(50))
    twins = [Sample(id=f"{i:020x}", label="cat", digest="same") for i in range(3)]
    assert Pool(twins).partner(twins[0], 0) is None


def test_one_more_image_changes_few_choices():
    before, after = Pool(samples(200)), Pool(samples(201))
    same = [before.partner(p, v).id == after.partner(p, v).id for p, v in before.cycle(1000)]
    assert sum(same) / len(same) > 0.97


def test_partners_are_spread_fairly():
    pool = Pool(samples(100))
    counts = Counter(pool.partner(p, v).id for p, v in pool.cycle(10_000))
    assert len(counts) == 100 and max(counts.values()) < 3 * 100
