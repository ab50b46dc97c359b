"""What became of each sample, in the few words and colours that the figures use."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

OUTCOMES = ("real", "synthetic", "not chosen", "filtered out")
COLOURS = {"real": "#2f6fb3", "synthetic": "#1f9e77", "not chosen": "#9a94b8", "filtered out": "#d9622b"}
"""Told apart by people who see colours differently, too (after Okabe and Ito)."""
SELECTOR = re.compile(r"\d+-select-")


def outcomes_of(rows: pa.Table) -> NDArray[np.str_]:
    """(n,) of each row of a ledger: "real" or "synthetic" if kept, "not chosen" by a selector, or "filtered out"."""
    columns = (rows.column(name).to_pylist() for name in ("kept", "origin", "dropped_by"))
    return np.array([_fate(*row) for row in zip(*columns, strict=True)], dtype=np.str_)


def _fate(kept: bool, origin: str, by: str | None) -> str:
    if kept:
        return "real" if origin == "real" else "synthetic"
    return "not chosen" if by and SELECTOR.match(by) else "filtered out"
