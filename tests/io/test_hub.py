"""Datasets of the Hub: downloaded once and read as Parquet; what can go wrong is said in two lines."""

from __future__ import annotations

from types import SimpleNamespace

import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import constants, errors

from augforge.errors import BadImage, SourceError
from augforge.io import open_source

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ANSWER = SimpleNamespace(headers={}, request=None)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub of one dataset; records what was asked of it."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": b"a", "path": None}, {"bytes": None, "path": "/etc/hostname"}]
    folder = tmp_path / COMMIT
    for name in ("data/train-00000-of-00001.parquet", "other/test-00000-of-00001.parquet"):
        (folder / name).parent.mkdir(parents=True)
        pq.write_table(pa.table({"image": pa.array(cells, kind), "label": ["x", "y"]}), folder / name)
    asked = []

    def snapshot_download(repository, **options):
        asked.append((repository, options))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def test_the_parquet_files_are_downloaded_and_read(hub):
    source = open_source("hub", "owner/name")
    assert hub == [("owner/name", {"repo_type": "dataset", "revision": None, "allow_patterns": "*.parquet"})]
    entries = list(source.entries())
    assert [(entry.label, entry.split) for entry in entries] == [
        ("x", "train"), ("y", "train"), ("x", "test"), ("y", "test"),
    ]  # fmt: skip
    assert source.read(entries[0].locator) == b"a"
    assert source.where == "hub owner/name@0123456789ab"


def test_a_row_may_not_name_a_file_of_this_disk(hub):
    source = open_source("hub", "owner/name")
    with pytest.raises(BadImage, match="holds a path instead of an image"):
        source.read("data/train-00000-of-00001.parquet#1")


def test_a_revision_and_a_folder_can_be_asked_for(hub):
    source = open_source("hub", "owner/name/other@v1")
    assert hub[0][1]["revision"] == "v1" and hub[0][1]["allow_patterns"] == "other/*.parquet"
    assert {entry.split for entry in source.entries()} == {"test"}


def test_without_parquet_the_converted_branch_is_tried(monkeypatch, tmp_path):
    asked = []

    def snapshot_download(repository, **options):
        asked.append(options["revision"])
        if options["revision"]:
            raise errors.RevisionNotFoundError("no such branch", response=ANSWER)
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(SourceError, match="it has no Parquet files"):
        open_source("hub", "owner/name")
    assert asked == [None, "refs/convert/parquet"]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (errors.RepositoryNotFoundError("404", response=ANSWER), "no such dataset"),
        (errors.GatedRepoError("403", response=ANSWER), "its owner has to let you in"),
        (errors.RevisionNotFoundError("404", response=ANSWER), "it has no revision 'v1'"),
        (ConnectionError("no route\nto host"), "it cannot be downloaded: no route"),
    ],
)
def test_every_failure_has_its_message(monkeypatch, error, says):
    def snapshot_download(*arguments, **options):
        raise error

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(SourceError) as caught:
        open_source("hub", "owner/name@v1")
    assert says in caught.value.message and "\n" not in caught.value.message and caught.value.hint


def test_offline_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(SourceError, match="HF_HUB_OFFLINE forbids") as caught:
        open_source("hub", "owner/name")
    assert "hf download" in caught.value.hint


@pytest.mark.parametrize("name", ["", "name", "owner/", "a b/c", "../x/y", "owner/name/../../x"])
def test_what_is_no_name_is_refused_before_anything_is_asked(hub, name):
    with pytest.raises(SourceError, match="no name of a dataset"):
        open_source("hub", name)
    assert hub == []
