"""Which samples get a thumbnail depends on what they are, never on where they stand; and all fit the room."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from augforge.report.collect import collect
from augforge.report.thumbnails import (
    ALL_BYTES,
    BYTES_A_PIXEL,
    MOST,
    SIDES,
    in_order,
    make_thumbnails,
    palette,
    side_for,
)


@pytest.fixture(scope="module")
def findings(run):
    return collect(run)


def ids(findings, rows):
    column = findings.rows.column("id").to_pylist()
    return [column[row] for row in rows]


def test_the_order_does_not_depend_on_the_order_of_the_ledger(findings):
    shuffled = np.random.default_rng(1).permutation(len(findings.rows))
    other = replace(
        findings,
        rows=findings.rows.take(pa.array(shuffled)),
        flagged=findings.flagged[shuffled],
        unjudged=findings.unjudged[shuffled],
    )
    assert ids(findings, in_order(findings)) == ids(other, in_order(other))


def test_every_stratum_has_its_turn_before_any_has_its_second(findings):
    rows = findings.rows.to_pylist()
    strata = [(rows[row]["stage"], rows[row]["label"], rows[row]["dropped_by"]) for row in in_order(findings)]
    parents = {parent for row in rows for parent in row["parents"]}
    of_no_parent = [s for s, i in zip(strata, ids(findings, in_order(findings)), strict=True) if i not in parents]
    assert len(set(of_no_parent[:12])) == 12  # four classes, of each: two fates of synthetic, one of real images


def test_parents_come_before_their_children_and_nothing_comes_twice_or_withheld(findings):
    order = list(in_order(findings))
    rows = findings.rows.to_pylist()
    places = {rows[row]["id"]: place for place, row in enumerate(order)}
    assert len(places) == len(order) == int((~findings.hidden).sum())
    for place, row in enumerate(order):
        assert all(places[parent] < place for parent in rows[row]["parents"])


def test_they_fit_the_room_and_more_room_only_adds(findings):
    whole = make_thumbnails(findings, 10**9)
    assert set(whole.pictures) == set(in_order(findings)) and len(whole.masks) == 8 and not whole.missing
    half = make_thumbnails(findings, whole.size // 2)
    assert half.size <= whole.size // 2
    assert 0 < len(half.pictures) < len(whole.pictures)
    assert list(half.pictures) == list(whole.pictures)[: len(half.pictures)]
    assert make_thumbnails(findings, 0).pictures == {}


def test_labels_of_a_mask_have_colours_of_their_own_but_the_first():
    colours = palette()
    assert colours[0].tolist() == [0, 0, 0, 0]
    assert len({tuple(colour) for colour in colours[1:40].tolist()}) == 39 and (colours[1:, 3] == 255).all()


def test_thumbnails_are_large_where_there_are_few_and_all_together_keep_to_a_size():
    assert (side_for(10), side_for(900), side_for(2_400), side_for(MOST)) == (256, 256, 160, 128)
    sides = [side_for(count) for count in range(1, MOST + 1)]
    assert sides == sorted(sides, reverse=True) and set(sides) == set(SIDES)
    assert max(count * side**2 * BYTES_A_PIXEL for count, side in enumerate(sides, 1)) <= 1.02 * ALL_BYTES
