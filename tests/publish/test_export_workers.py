"""Several threads hash and encode: what is written is what one writes, and what is wrong is said in the same words."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from augforge.errors import StoreError
from augforge.publish.export import export, uniform_of
from augforge.publish.marks import Marker
from augforge.publish.rows import Published
from tests.publish.test_resume import content


@pytest.mark.parametrize("to", ["folder", "webdataset", "coco"])
def test_threads_write_the_same_files(finished: Path, tmp_path: Path, to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever row is ready first."""
    options: dict[str, Any] = {"uniform": uniform_of("RGB", 48), "marker": Marker()}
    export(finished, to, tmp_path / "one", **options)
    alone = Published._row

    def some_late(self: Published, given: Any) -> Any:
        time.sleep(random.Random(given[0]["id"]).random() / 200)
        return alone(self, given)

    monkeypatch.setattr(Published, "_row", some_late)
    export(finished, to, tmp_path / "several", workers=4, **options)
    assert content(tmp_path / "one") == content(tmp_path / "several")


def test_a_damaged_image_is_said_by_threads_too(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    path = next(run.glob("dataset/**/*.arrow"))
    data = bytearray(path.read_bytes())
    data[data.find(b"\x89PNG") + 60] ^= 1
    path.write_bytes(data)
    for workers in (1, 4):
        with pytest.raises(StoreError, match="is damaged in its dataset"):
            export(run, "folder", tmp_path / str(workers), workers=workers)
