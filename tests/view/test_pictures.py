"""Pictures: by ids alone, always encoded anew, and none that is withheld."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from augforge.data import images
from augforge.view.build import cache_of
from tests.report.runs import make_run


@pytest.fixture(scope="module")
def rows(hostile) -> list[dict]:
    return pq.read_table(hostile / "samples.parquet").to_pylist()


def decoded(answer) -> Image.Image:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["x-content-type-options"] == "nosniff"
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.format == "WEBP"
    return picture


def test_thumbnails_of_real_and_made_kept_and_dropped_samples(page, rows):
    hidden = page.run.index.column("hidden")
    shown = [row for row, flag in zip(rows, hidden, strict=True) if not flag]
    assert {(row["origin"], row["kept"]) for row in shown} == {
        (o, k) for o in ("real", "synthetic") for k in (True, False)
    }
    for row in shown:
        thumb = decoded(page.get(f"/thumb/{row['id']}"))
        assert max(thumb.size) <= 192


def test_what_is_withheld_is_never_shown_in_any_way(page, rows):
    hidden = page.run.index.column("hidden")
    withheld = [row["id"] for row, flag in zip(rows, hidden, strict=True) if flag]
    other = next(row["id"] for row, flag in zip(rows, hidden, strict=True) if not flag)
    assert withheld
    for identity in withheld:
        for path in (
            "thumb/{}",
            "image/{}",
            "picture/{}/mask",
            "difference/{}/" + other,
            "difference/" + other + "/{}",
        ):
            answer = page.get("/" + path.format(identity))
            assert answer.status_code == 403 and answer.json()["kind"] == "forbidden", path


def test_the_picture_itself_keeps_its_size_up_to_what_is_asked(page, rows):
    row = next(row for row in rows if row["origin"] == "real" and row["kept"])
    whole = decoded(page.get(f"/image/{row['id']}"))
    assert max(decoded(page.get(f"/image/{row['id']}", side=10)).size) == 10
    original = Image.open(io.BytesIO(page.run.thumbs._pictures.image(row)))
    assert whole.size == original.size
    assert np.array_equal(np.asarray(whole.convert("RGB")), np.asarray(original.convert("RGB")))  # small: without loss


def test_a_mask_is_in_colours_and_its_ground_is_clear(page, rows):
    hidden = page.run.index.column("hidden")
    row = next(row for row, flag in zip(rows, hidden, strict=True) if row["pictures"] and not flag)
    mask = np.asarray(decoded(page.get(f"/picture/{row['id']}/mask")).convert("RGBA"))
    assert not mask[0, 0, 3] and mask[-1, 0, 3] == 255
    assert page.get(f"/picture/{row['id']}/depth").status_code == 404


def test_the_difference_to_a_parent(page, rows):
    real = [row for row in rows if row["origin"] == "real" and row["kept"]]
    one, other = real[0], real[1]
    same = page.get(f"/difference/{one['id']}/{one['id']}")
    assert float(same.headers["x-mean-difference"]) == 0 and not np.asarray(decoded(same)).any()
    apart = page.get(f"/difference/{one['id']}/{other['id']}")
    pixels = [np.asarray(images.decode(page.run.thumbs._pictures.image(row)), dtype=int)[0, 0] for row in (one, other)]
    assert float(apart.headers["x-mean-difference"]) == pytest.approx(np.abs(pixels[0] - pixels[1]).mean(), abs=0.01)
    assert (np.asarray(decoded(apart).convert("RGB")) == np.abs(pixels[0] - pixels[1])).all()


@pytest.mark.parametrize(
    "path", ["thumb/zzzz", "thumb/..%2f..%2fetc%2fpasswd", "image/", "thumb/a/b", "picture/zz/mask"]
)
def test_what_is_no_sample_has_no_picture(page, path):
    assert page.get(f"/{path}").status_code == 404


@pytest.mark.parametrize("side", ["0", "193", "-1", "99999999999999999999", "x"])
def test_sides_that_there_are_not(page, rows, side):
    row = next(row for row in rows if row["origin"] == "real" and row["kept"])
    assert page.get(f"/thumb/{row['id']}", side=side).status_code == 400


def rewritten(folder: Path, **changed: list) -> Path:
    """The run with other columns in its ledger, as somebody may send it."""
    table = pq.read_table(folder / "samples.parquet")
    for name, values in changed.items():
        place = table.column_names.index(name)
        table = table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type))
    pq.write_table(table, folder / "samples.parquet")
    (folder / "run.json").unlink()
    return folder


def test_a_ledger_that_names_files_elsewhere_is_served_none(opened, hostile, tmp_path):
    """Digests become names of thumbnails, refs names of parts and files: none may lead out."""
    folder = tmp_path / "run"
    shutil.copytree(hostile, folder)
    secret = tmp_path / "secret.png"
    Image.new("RGB", (40, 40), "red").save(secret)
    digest = images.digest(secret.read_bytes())
    count = pq.read_metadata(folder / "samples.parquet").num_rows
    refs = ["generated:../../secret", f"0:../../{secret.name}", f"0:{secret}", "generated:/etc", "7:x", "nothing", ""]
    digests = [digest, "../../../secret", "", f"../{digest}"]
    page = opened(
        rewritten(
            folder,
            ref=[refs[n % len(refs)] for n in range(count)],
            digest=[digests[n // len(refs) % len(digests)] for n in range(count)],
            kept=[False] * count,
        )
    )
    for row in range(count):
        identity = page.run.index.identity(row)
        answers = [page.get(f"/thumb/{identity}"), page.get(f"/image/{identity}")]
        assert all(answer.status_code in (403, 404) for answer in answers), [answer.text for answer in answers]


def test_bytes_that_are_no_raster_picture_are_never_sent(opened, tmp_path):
    """A file of the source that has become SVG since: its digest is another one, and it is decoded in any case."""
    folder = make_run(tmp_path)
    row = next(
        r for r in pq.read_table(folder / "samples.parquet").to_pylist() if r["origin"] == "real" and not r["kept"]
    )
    file = tmp_path / "pictures" / row["ref"].partition(":")[2]
    evil = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'></svg>"
    file.write_bytes(evil)
    page = opened(folder)
    for path in ("thumb", "image"):
        answer = page.get(f"/{path}/{row['id']}")
        assert answer.status_code == 404 and b"svg" not in answer.content
        assert answer.headers["content-type"] == "application/json"


def test_thumbnails_are_kept_up_to_a_limit_and_the_oldest_go(page, rows, monkeypatch):
    folder = cache_of(page.run.folder) / "thumbs"
    shutil.rmtree(folder, ignore_errors=True)
    hidden = page.run.index.column("hidden")
    shown = [row["id"] for row, flag in zip(rows, hidden, strict=True) if not flag]
    first = page.get(f"/thumb/{shown[0]}").content
    assert [path.read_bytes() for path in folder.rglob("*.webp")] == [first]
    (kept,) = folder.rglob("*.webp")
    kept.write_bytes(b"kept")
    assert page.get(f"/thumb/{shown[0]}").content == b"kept"
    monkeypatch.setattr(page.run.thumbs, "_most", 3 * len(first))
    for identity in shown[1:9]:
        page.get(f"/thumb/{identity}")
    assert sum(path.stat().st_size for path in folder.rglob("*.webp")) <= 3 * len(first)
    assert not kept.exists()
