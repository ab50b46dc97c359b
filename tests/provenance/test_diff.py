"""What differs between two run folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from augforge.engine.run import run
from augforge.errors import AugforgeError
from augforge.provenance.diff import cell, diff
from augforge.recipe import parse_recipe
from tests.cli.test_cli import call


def keep(source: Path, out: Path, share: float) -> Path:
    run(parse_recipe(f"source: {{folder: {source}}}\nstages:\n  - {{filter: sharpness, keep: {share}}}\n"), out)
    return out


def test_a_folder_is_the_same_as_itself(pictures, tmp_path):
    out = keep(pictures, tmp_path / "a", 1.0)
    found = diff(out, out)
    assert found.changes == () and found.rows == (11, 11)
    assert "The datasets are the same" in found.markdown()


def test_rows_added_removed_and_changed_by_class_and_reason(pictures, tmp_path):
    before = keep(pictures, tmp_path / "a", 1.0)
    other = Path(shutil.copytree(pictures, tmp_path / "other"))
    (other / "cat" / "0000.png").unlink()
    Image.new("RGB", (32, 32), "red").save(other / "dog" / "new.png")
    shutil.move(other / "cat" / "0001.png", other / "dog" / "moved.png")
    after = keep(other, tmp_path / "b", 1.0)
    found = diff(before, after)
    assert found.counts() == {"added": 2, "removed": 2, "changed": 0}
    assert ("removed", "cat", "no longer in the ledger", 2) in found.table()
    assert ("added", "dog", "new", 2) in found.table()
    back = diff(after, before)
    assert back.counts() == {"added": 2, "removed": 2, "changed": 0}


def test_what_a_stage_drops_is_said_both_ways(pictures, tmp_path):
    all_, half = keep(pictures, tmp_path / "a", 1.0), keep(pictures, tmp_path / "b", 0.5)
    fewer = diff(all_, half)
    assert fewer.counts()["removed"] == 5 and fewer.rows == (11, 6)
    assert all(change.reason.startswith("dropped by 1-filter-sharpness: ") for change in fewer.changes)
    more = diff(half, all_)
    assert {change.reason[:40] for change in more.changes} == {"no longer dropped by 1-filter-sharpness:"}


def test_the_three_formats_and_the_exit_code(pictures, tmp_path):
    a, b = keep(pictures, tmp_path / "a", 1.0), keep(pictures, tmp_path / "b", 0.5)
    text = call("diff", a, b).stdout
    assert "removed" in text and "11 rows" in text
    plain = json.loads(call("diff", a, b, "--format", "json", "--exit-code", code=3).stdout)
    assert plain["counts"]["removed"] == len(plain["changes"]) == 5
    assert "| removed | cat |" in call("diff", a, b, "--format", "markdown").stdout
    call("diff", a, a, "--exit-code")
    with pytest.raises(AugforgeError, match="no run folder"):
        diff(pictures, a)


def test_nothing_in_a_cell_is_markup():
    assert cell("<b>a|b</b>\n*c* [x](y)") == r"&lt;b&gt;a\|b&lt;/b&gt; \*c\* \[x\](y)"


def test_other_bytes_are_not_called_other_pixels(pictures, tmp_path):
    before = keep(pictures, tmp_path / "a", 1.0)
    after = Path(shutil.copytree(before, tmp_path / "b"))
    table = pq.read_table(before / "samples.parquet")
    digests = ["0" * 64, *table.column("digest").to_pylist()[1:]]
    table = table.set_column(table.column_names.index("digest"), "digest", pa.array(digests))
    pq.write_table(table, after / "samples.parquet")
    assert {change.reason for change in diff(before, after).changes} == {"other bytes"}
