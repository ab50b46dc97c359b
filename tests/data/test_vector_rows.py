"""Stored vectors that are read by rows."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest

from augforge.data.vector_parts import Precision
from augforge.data.vector_rows import VectorRows
from augforge.data.vectors import Vectors, write_vectors


def digests(start: int, count: int) -> list[str]:
    return [hashlib.sha256(str(row).encode()).hexdigest() for row in range(start, start + count)]


def stored(folder: Path, precision: Precision, width: int, *sizes: int) -> Vectors:
    """Vectors in one part for each size."""
    folder.mkdir(exist_ok=True)
    start = 0
    for size in sizes:
        vectors = np.random.default_rng(start).normal(size=(size, width)).astype(np.float32)
        write_vectors(folder, precision, digests(start, size), vectors)
        start += size
    return Vectors(folder, precision)


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_rows_are_those_of_the_matrix_in_any_order_and_in_another_process(tmp_path: Path, precision: Precision) -> None:
    vectors = stored(tmp_path / "v", precision, 8, 30, 50, 7)
    keys = [digests(0, 87)[row] for row in (86, 3, 40, 3, 79, 0)]
    reader = vectors.by_rows()
    assert reader.shape == (87, 8) and vectors.width == 8
    for one in (reader, pickle.loads(pickle.dumps(reader))):
        found = one.read(vectors.find(keys))
        assert found.dtype == np.float32
        assert found.tolist() == vectors.matrix(keys).tolist()
    assert reader.read(np.empty(0, dtype=np.int64)).shape == (0, 8)


def test_without_vectors(tmp_path: Path) -> None:
    vectors = stored(tmp_path / "v", "float16", 8)
    assert vectors.width == 0
    assert vectors.by_rows().shape == (0, 0)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux what is in memory")
def test_what_was_read_is_given_back(tmp_path: Path) -> None:
    """Going through 64 MB adds little to what of files is in memory; without giving back it would be all of it."""

    def mapped_mb() -> float:
        line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("RssFile"))
        return int(line.split()[1]) / 1000

    reader = stored(tmp_path / "v", "float16", 1024, 16_384, 16_384).by_rows()
    before = mapped_mb()
    for start in range(0, 32_768, 4096):
        reader.read(np.arange(start, start + 4096))
    assert mapped_mb() - before < 20


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_products_are_those_of_the_matrix(
    tmp_path: Path, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several parts, and of blocks that do not fill."""
    monkeypatch.setattr("augforge.data.vector_rows.BLOCK", 7)
    reader = stored(tmp_path / "v", precision, 5, 20, 1, 14).by_rows()
    vector = np.random.default_rng(9).normal(size=5).astype(np.float32)
    found = reader.products(vector)
    assert found.dtype == np.float32 and np.allclose(found, reader.read(np.arange(35)) @ vector, atol=1e-5)
    assert VectorRows(()).products(vector).shape == (0,)
