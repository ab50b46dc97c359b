"""The stage `isp`: what is recorded, and that an image is what its row says."""

from __future__ import annotations

import numpy as np

from augforge.algorithms.isp import reshoot
from tests.conftest import write_images
from tests.stages.generators.made import made_by


def test_each_image_is_what_its_row_says(tmp_path):
    rows = made_by("isp", write_images(tmp_path / "set", {"cat": 4, "dog": 2}), tmp_path / "out", severity=1)
    assert len(rows) == 6 and len({row["drawn"]["noise-seed"] for row in rows}) == 6
    for row in rows:
        known = reshoot(row["before"], row["drawn"]["camera"], row["drawn"]["noise-seed"])
        assert (row["pixels"] == known).all() and (row["pixels"] != row["before"]).any()


def test_severity_0_leaves_every_byte_whether_detail_is_kept_or_not(tmp_path):
    source = write_images(tmp_path / "set", {"cat": 5})
    for keep in (True, False):
        rows = made_by("isp", source, tmp_path / f"{keep}", severity=0, keep_detail=keep)
        assert all((row["pixels"] == row["before"]).all() for row in rows)


def test_without_detail_more_is_lost(tmp_path):
    source = write_images(tmp_path / "set", {"cat": 3}, size=40)
    lost = {}
    for keep in (True, False):
        rows = made_by("isp", source, tmp_path / f"{keep}", severity=1, keep_detail=keep, size=24)
        assert {row["pixels"].shape for row in rows} == {(24, 24, 3)}
        lost[keep] = np.mean([row["drawn"]["camera"]["loss"] for row in rows])
    assert lost == {True: 0, False: 1}
