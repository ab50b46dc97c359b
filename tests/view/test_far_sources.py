"""A run that somebody else made names its sources: a look at it asks no other machine, unless its user names it too."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from augforge.cli.render.review import reader
from augforge.data.mirror import MARKER
from augforge.data.places import brought_up
from augforge.engine.run import run
from augforge.errors import BadImage
from augforge.recipe import load_recipe, parse_recipe
from augforge.remote.objects import Objects
from augforge.report.pictures import Pictures
from tests.conftest import write_images
from tests.remote.stores import Memory, files_of

STAGES = "\nstages:\n  - {filter: sharpness, keep: 0.5}\n"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    """Pictures in an object store."""
    memory = Memory()
    photos = write_images(tmp_path_factory.mktemp("photos"), {"cat": 4, "dog": 4})
    for name, data in files_of(photos):
        memory.put(name, data)
    return memory


@pytest.fixture(scope="module")
def far(store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of them, of which half are dropped: these are in the store alone. Never changed."""
    folder = tmp_path_factory.mktemp("far") / "run"
    run(parse_recipe(f"name: far\nsource: {{folder: {store.root}}}{STAGES}"), folder)
    return folder


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """What any object store is asked."""
    seen: list[str] = []
    for name in ("folder", "find", "read", "part"):
        real = getattr(Objects, name)

        def noting(self, url, *given, real=real):
            seen.append(url)
            return real(self, url, *given)

        monkeypatch.setattr(Objects, name, noting)
    return seen


def ids(folder: Path, kept: bool) -> list[str]:
    rows = pq.read_table(folder / "samples.parquet", columns=["id", "kept"]).to_pylist()
    return [row["id"] for row in rows if row["kept"] == kept]


def test_no_store_is_asked_for_a_picture_and_the_page_is_told_what_to_do(opened, far, asked, store):
    page = opened(far)
    answer = page.get(f"/thumb/{ids(far, kept=False)[0]}")
    assert answer.status_code == 404 and asked == []
    assert store.root in answer.json()["error"] and "--recipe" in answer.json()["hint"]
    assert page.get(f"/thumb/{ids(far, kept=True)[0]}").status_code == 200 and asked == []


@pytest.fixture
def own(store, tmp_path) -> Path:
    """A recipe of the user, with the same source."""
    path = tmp_path / "own.yaml"
    path.write_text(f"name: own\nsource: {{folder: {store.root}}}{STAGES}")
    return path


def test_it_is_read_where_the_user_names_a_recipe_with_that_source(opened, far, asked, own):
    page = opened(far, recipe=own)
    assert page.get(f"/image/{ids(far, kept=False)[0]}").status_code == 200 and asked


@pytest.mark.parametrize("text", ["name: own\nsource: {folder: 's3://bucket/other'}\nstages: []\n", "stages: [", None])
def test_a_recipe_with_another_source_or_none_lets_nothing_be_read(opened, far, asked, tmp_path, text):
    path = tmp_path / "own.yaml"
    if text is not None:
        path.write_text(text)
    page = opened(far, recipe=path)
    assert page.get(f"/image/{ids(far, kept=False)[0]}").status_code == 404 and asked == []


def test_of_two_runs_neither_is_fetched_unasked(opened, far, asked, tmp_path):
    shutil.copytree(far, tmp_path / "other")
    page = opened(far, compare=tmp_path / "other")
    assert page.get(f"/b/thumb/{ids(far, kept=False)[0]}").status_code == 404 and asked == []


def row(folder: Path) -> dict:
    """The row of a dropped image."""
    rows = pq.read_table(folder / "samples.parquet").to_pylist()
    return next(row for row in rows if not row["kept"])


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("{hub: somebody/pictures}", "hub somebody/pictures"),
        ("{folder: 's3://bucket/pictures'}", "folder s3://bucket/pictures"),
        ("{folder: 'GS://bucket/pictures'}", "folder GS://bucket/pictures"),
        ("{run: 's3://bucket/run'}", "run s3://bucket/run"),
        ("{folder: photos, masks: 's3://bucket/masks'}", "folder photos"),
        ("{webdataset: '{s3://bucket/a,s3://bucket/b}.tar'}", "webdataset {s3://bucket/a,s3://bucket/b}.tar"),
        ("{folder: 'http://machine/pictures'}", "folder http://machine/pictures"),
    ],
)
def test_each_kind_of_source_elsewhere_is_named_and_not_opened(far, tmp_path, monkeypatch, source, named):
    folder = shutil.copytree(far, tmp_path / "run")
    (folder / "recipe.yaml").write_text(f"name: far\nsource: {source}{STAGES}")
    monkeypatch.setattr("augforge.report.pictures.open_source", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(BadImage, match="not on this machine") as caught:
        Pictures(folder, load_recipe(folder / "recipe.yaml")).image(row(folder))
    assert named in caught.value.message


def test_a_folder_that_calls_itself_the_mirror_of_a_bucket_is_none(far, tmp_path, asked):
    folder = shutil.copytree(far, tmp_path / "run")
    (folder / MARKER).write_text(json.dumps({"url": "s3://bucket/run"}))
    assert brought_up(folder) == folder and asked == []


def test_a_review_in_a_terminal_fetches_nothing_unasked(far, asked, own):
    missing = ids(far, kept=False)
    with pytest.raises(BadImage, match="not on this machine"):
        reader(far, missing)(missing[0])
    assert asked == []
    assert reader(far, missing, own)(missing[0]) and asked


def test_a_source_on_this_machine_is_read_as_before(tmp_path):
    photos = write_images(tmp_path / "photos", {"cat": 4})
    run(parse_recipe(f"name: near\nsource: {{folder: '{photos.as_uri()}'}}{STAGES}"), tmp_path / "run")
    recipe = load_recipe(tmp_path / "run" / "recipe.yaml")
    assert Pictures(tmp_path / "run", recipe).image(row(tmp_path / "run"))
