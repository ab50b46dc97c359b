"""Whatever images, labels and splits there are: a run, and every format that it is exported to, reads back the same."""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from augforge.engine.run import run
from augforge.io import detect, open_source
from augforge.publish.export import export
from augforge.recipe import Recipe, SourceSpec
from tests.test_laws import rows

LABELS = st.none() | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=5
)
IMAGES = st.lists(
    st.tuples(st.integers(0, 4), LABELS, st.sampled_from([None, "train", "test"])), min_size=1, max_size=5
)
FORMATS = ("folder", "parquet", "webdataset", "coco", "hf", "label-studio")


def picture(number: int) -> bytes:
    out = io.BytesIO()
    values = np.random.default_rng(number).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


def write_table(folder: Path, images: list[tuple[int, str | None, str | None]]) -> str:
    """A Parquet file of the images; exact copies are among them."""
    columns: dict[str, Any] = {
        "image": pa.array([picture(number) for number, _, _ in images], pa.binary()),
        "label": pa.array([label for _, label, _ in images], pa.string()),
        "split": pa.array([split for _, _, split in images], pa.string()),
    }
    pq.write_table(pa.table(columns), folder / "source.parquet")
    return str(folder / "source.parquet")


def told(source: Any) -> list[tuple[str, str | None, str | None, bytes]]:
    """Id, label, split and bytes of every kept image of a source."""
    entries = [e for e in source.entries() if (e.carried or {}).get("kept", True)]
    return sorted((str((e.carried or {}).get("id")), e.label, e.split, source.read(e.locator)) for e in entries)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(IMAGES, st.sampled_from(FORMATS))
def test_a_run_and_its_exports_read_back_the_same(images, to):
    with TemporaryDirectory() as place:
        folder = Path(place)
        recipe = Recipe("trip", 0, (SourceSpec("parquet", write_table(folder, images)),), ())
        run(recipe, folder / "run")
        ledger = rows(folder / "run")
        assert len(ledger) == len(images)
        mine = told(open_source("run", str(folder / "run")))
        assert [(label, split) for _, label, split, _ in mine] == [
            (ledger[i]["label"], ledger[i]["split"]) for i, *_ in mine
        ]
        assert sorted(data for *_, data in mine) == sorted(picture(number) for number, _, _ in images)
        export(folder / "run", to, folder / "out")
        there = told(open_source(*detect(str(folder / "out"))))
        assert there == mine
        again = Recipe("trip", 0, (SourceSpec(*detect(str(folder / "out"))),), ())
        run(again, folder / "again")
        assert {i: (r["label"], r["split"], r["digest"]) for i, r in rows(folder / "again").items()} == {
            i: (r["label"], r["split"], r["digest"]) for i, r in ledger.items()
        }
