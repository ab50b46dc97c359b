"""The proof of the benchmarks runs from end to end, at reduced size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_proof_of_the_digits_writes_table_and_plot(tmp_path):
    command = [
        sys.executable,
        "benchmarks/proof.py",
        "--reduced",
        "--only",
        "digits",
        "--seeds",
        "2",
        "--out",
        tmp_path,
    ]
    subprocess.run(
        [*command, "--modes", "random-image,embed-cutmix-dropout"], cwd=ROOT, check=True, capture_output=True
    )
    rows = json.loads((tmp_path / "proof.json").read_text())
    arms = ["real", "real+synthetic", "real+kept", "real+selected", "real+random"]
    assert [row["arm"] for row in rows] == [arms[0], "real+classical", *arms[1:], *arms]
    assert {row["mode"] for row in rows} == {"", "random-image", "embed-cutmix-dropout"}
    images = {row["arm"]: row["images"] for row in rows}
    assert images["real+random"] == images["real+selected"]
    assert images["real"] == 200 < images["real+selected"] < images["real+kept"] < images["real+synthetic"]
    lines = [line for line in (tmp_path / "proof.md").read_text().splitlines() if line.startswith("| digits ")]
    assert "better, " in lines[0] and len(lines[0].split(" | ")) == 8  # the summary over both modes
    assert [line.split(" | ")[2] for line in lines[1:]] == 2 * ["random-image", "embed-cutmix-dropout"]  # two tables
    assert all(len(line.split(" | ")) == 9 for line in lines[1:])
    assert (tmp_path / "proof.png").stat().st_size > 5000
