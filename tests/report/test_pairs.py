"""Near-duplicates and the images that they nearly are, as the reasons tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from augforge.data.ledger import Ledger
from augforge.data.sample import Sample
from augforge.engine.run import run
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.report.collect import collect
from augforge.report.pairs import pairs_of
from augforge.report.thumbnails import in_order

IDS = [f"{n:08x}" + "0" * 56 for n in range(5)]


def pairs(*samples: tuple[str, str, str | None]) -> list[tuple[int, int]]:
    ledger = Ledger(["cat", "dog"])
    ledger.extend(
        Sample(
            id=identity, label=label, kept=reason is None, dropped=reason, dropped_by=reason and "1-filter-duplicates"
        )
        for identity, label, reason in samples
    )
    return pairs_of(pa.concat_tables(ledger.tables()))


@pytest.mark.parametrize(
    "reason",
    [
        "near-duplicate of 00000000 (7 bits), which is larger, cluster 00000000",
        "near-duplicate of 00000000 (overlap 0.93), which is sharper, cluster 00000000",
        "leakage: near-duplicate of 00000000 (1 bit), cluster 00000000",
        "memorised: near-copy of its parent 00000000 (3 bits)",
    ],
)
def test_a_pair_is_what_went_and_what_it_nearly_is(reason):
    assert pairs((IDS[0], "cat", None), (IDS[1], "cat", reason)) == [(1, 0)]


def test_exact_copies_are_pairs_only_across_labels():
    reason = "exact copy of 00000000, cluster 00000000"
    assert pairs((IDS[0], "cat", None), (IDS[1], "cat", reason), (IDS[2], "dog", reason)) == [(2, 0)]


def test_other_reasons_references_and_ids_that_are_not_clear_are_no_pairs():
    twin = replace_tail(IDS[0])
    assert pairs((IDS[0], "cat", None), (IDS[1], "cat", "clip-prompt: under 0.2")) == []
    assert pairs((IDS[0], "cat", None), (IDS[1], "cat", "leakage: near-duplicate of test/a.png (2 bits)")) == []
    assert pairs((IDS[0], "cat", None), (IDS[1], "cat", "near-duplicate of 0000000f (2 bits), cluster 0")) == []
    reason = "near-duplicate of 00000000 (2 bits), cluster 00000000"
    assert pairs((IDS[0], "cat", None), (twin, "cat", None), (IDS[1], "cat", reason)) == []


def replace_tail(identity: str) -> str:
    return identity[:8] + "f" * 56


def test_a_real_run_has_its_pairs_and_their_thumbnails_stand_together(tmp_path: Path, pictures: Path):
    source = tmp_path / "source" / "a"
    source.mkdir(parents=True)
    for number, path in enumerate(sorted(pictures.rglob("*.png"))[:6]):
        image = Image.open(path).convert("RGB").resize((64, 64))
        image.save(source / f"{number}.png")
        image.resize((60, 60)).save(source / f"{number}b.png")
    stage = build_stage("filter", "duplicates", {"by": "hash", "on": "all"})
    run(Recipe("r", 0, (SourceSpec("folder", str(tmp_path / "source")),), (stage,)), tmp_path / "out")
    findings = collect(tmp_path / "out")
    rows = findings.rows.to_pylist()
    dropped = [place for place, row in enumerate(rows) if not row["kept"]]
    assert dropped and sorted(gone for gone, _ in findings.pairs) == dropped
    order = list(in_order(findings))
    for gone, stays in findings.pairs:
        assert rows[stays]["id"].startswith(rows[gone]["dropped"].split(" of ")[1].split()[0])
        assert order.index(stays) < order.index(gone)
    alone = replace(findings, pairs=[])
    assert sorted(in_order(alone)) == sorted(order)
