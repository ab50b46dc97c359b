"""Flagged images and their copies, and those that nobody judged, are withheld; nothing else is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from augforge.data.ledger import Ledger
from augforge.data.sample import Sample
from augforge.report.withheld import withheld

SAFETY = "2-filter-safety"


def flags(*samples: Sample) -> tuple[list[int], list[int]]:
    ledger = Ledger(["a"])
    ledger.extend(replace(sample, id=str(place)) for place, sample in enumerate(samples))
    flagged, unjudged = withheld(pa.concat_tables(ledger.tables()))
    return np.flatnonzero(flagged).tolist(), np.flatnonzero(unjudged).tolist()


def sample(digest: str = "", by: str | None = None, reason: str | None = None, **more) -> Sample:
    return Sample(id="", label="a", digest=digest, kept=by is None, dropped_by=by, dropped=reason, **more)


def test_without_a_safety_filter_nothing_is_withheld():
    assert flags(sample("1"), sample("2", "1-filter-clip", "clip-prompt: under 0.2")) == ([], [])


def test_what_the_filter_dropped_is_flagged_whatever_its_rule_and_score():
    scored = sample("1", SAFETY, "safety: not among the best 50 % of its class", scores={"safety": 0.4})
    failed = sample("2", SAFETY, "safety: the checker failed")
    assert flags(scored, failed, sample("3", scores={"safety": 0.5})) == ([0, 1], [])


def test_what_was_kept_under_zero_is_flagged():
    assert flags(sample("1", scores={"safety": -0.1}), sample("2", scores={"safety": 0.0})) == ([0], [])


def test_copies_of_flagged_images_are_flagged_and_empty_digests_are_no_copies():
    bad = sample("1", SAFETY, "safety: flagged", scores={"safety": -1.0})
    copy = sample("1", "1-filter-duplicates", "exact copy")
    unread = sample("", SAFETY, "it can no longer be read")
    other = sample("", "source", "empty file")
    assert flags(bad, copy, unread, other, sample("2", scores={"safety": 1.0})) == ([0, 1, 2], [3])


def test_images_of_an_origin_that_was_judged_are_not_shown_if_they_were_not():
    judged = sample("1", scores={"safety": 0.5}, origin="synthetic")
    earlier = sample("2", "1-filter-clip", "clip-prompt: under 0.2", origin="synthetic")
    real = sample("3", "1-filter-clip", "clip-prompt: under 0.2")
    assert flags(judged, earlier, real) == ([], [1])
