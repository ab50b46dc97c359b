"""What a lock says of large sources is what a dict of all files would: the same digests, whatever the order of rows."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augforge.data.ids import key
from augforge.data.ledger import Ledger
from augforge.data.sample import Sample
from augforge.provenance.listing import SHORT, listed_sources

LOCATOR = st.sampled_from(
    ["a/1.jpg", "a/2.jpg", "a-b/1.jpg", "a/b/3.jpg", "x.parquet#1", "x.parquet#2", "é.png", "b.png"]
)
FILE = st.tuples(st.sampled_from([0, 1, 10]), LOCATOR, st.sampled_from(["d1", "d2"]), st.sampled_from(["cat", None]))


def by_dict(files: list[tuple], number: int, most: int) -> dict:
    """The same by a dict of all files of a source."""
    found = {where: key(digest, label, None, "")[:SHORT] for n, where, digest, label in files if n == number}
    ordered = dict(sorted(found.items()))
    about = {"source": {"folder": str(number)}, "images": len(ordered), "digest": key(ordered)}
    if len(ordered) <= most:
        return {**about, "files": ordered}
    folders: dict[str, list[list[str]]] = {}
    for where, digest in ordered.items():
        folders.setdefault(where.rpartition("#")[0] or where.rpartition("/")[0], []).append([where, digest])
    return {**about, "folders": {folder: key(listed)[:SHORT] for folder, listed in folders.items()}}


@pytest.mark.parametrize("most", [0, 3, 100])
def test_sources_are_listed_as_by_a_dict(most: int) -> None:
    @settings(deadline=None)
    @given(st.lists(FILE, max_size=12))
    def check(files: list[tuple]) -> None:
        ledger = Ledger(["cat"])
        ledger.extend(
            Sample(f"{place:020x}", label, digest=digest, ref=f"{number}:{where}")
            for place, (number, where, digest, label) in enumerate(files)
        )
        ledger.extend([Sample("made", "cat", origin="synthetic", ref="generated:x")])
        specs = [SimpleNamespace(plain=lambda n=n: {"folder": str(n)}) for n in range(11)]
        found = listed_sources(SimpleNamespace(sources=specs), ledger, most)
        wanted = [by_dict(files, number, most) for number in range(11)]
        assert found == wanted
        assert [list(each.get("folders", {})) for each in found] == [list(each.get("folders", {})) for each in wanted]

    check()
