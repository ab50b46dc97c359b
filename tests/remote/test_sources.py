"""Sources by URL: whatever lies in an object store is read as the same files on a disk are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from augforge.errors import BadImage, RemoteError, SourceError
from augforge.io import Source, detect, open_source
from augforge.io.base import Entry
from augforge.io.understood import understanding, understood
from tests.conftest import write_images
from tests.io import layouts as boxes
from tests.remote.faulty import Proxy
from tests.remote.stores import Bucket, Memory, put_all
from tests.test_layouts import LAYOUTS, videos


def every_layout() -> Iterator[Any]:
    for name, (write, split) in LAYOUTS.items():
        yield pytest.param(lambda root, w=write, s=split: w(root, s), id=name)
    yield pytest.param(lambda root: videos(root, "val"), id="videos")
    for name, (_, place) in boxes.LAYOUTS.items():
        yield pytest.param(place, id=name)


def seen(source: Source) -> tuple[list[Entry], list[bytes | str], str, list[str]]:
    """All that a source tells, but for stamps and its own name."""
    told = understood(source)
    entries = list(understanding(source, told))
    contents: list[bytes | str] = []
    for entry in entries:
        for name in (None, *entry.pictures):
            try:
                contents.append(source.read_picture(entry.locator, name) if name else source.read(entry.locator))
            except BadImage as error:
                contents.append(error.message)
    plain = [replace(entry, stamp="", pictures=dict.fromkeys(entry.pictures, "")) for entry in entries]
    return plain, contents, told.sentence().partition(": ")[2], source.classes()


def assert_alike(local: Path, url: str, **options: Any) -> None:
    kind, value = detect(str(local))
    assert detect(url) == (kind, url)
    here, there = seen(open_source(kind, value, **options)), seen(open_source(kind, url, **options))
    assert here[0] and there == here


@pytest.mark.parametrize("write", list(every_layout()))
def test_every_layout_is_read_as_from_a_disk(write, tmp_path, memory: Memory):
    local = write(tmp_path / "set")
    assert_alike(local, put_all(memory, local, "set") if local.is_dir() else put_beside(memory, local))


def put_beside(store: Memory, file: Path) -> str:
    """Write a file with all that lies beside it."""
    return f"{put_all(store, file.parent, 'set')}/{file.name}"


@pytest.mark.parametrize("name", ["splits above classes, val", "webdataset", "parquet, as on the Hub", "dataset"])
def test_s3_over_http_tells_the_same(name, tmp_path, bucket: Bucket):
    write, split = LAYOUTS[name]
    local = write(tmp_path / "set", split)
    assert_alike(local, put_all(bucket, local, "a b/set"))


def test_masks_of_an_export(tmp_path, memory: Memory):
    for number in range(3):
        boxes.put(
            tmp_path, {f"set/images/{number}.png": boxes.picture(number), f"set/masks/{number}.png": grey(number)}
        )
    assert_alike(tmp_path / "set", put_all(memory, tmp_path / "set", "set"))


def grey(number: int) -> bytes:
    from PIL import Image

    from tests.bad_inputs import encoded

    return encoded(Image.new("L", (boxes.WIDTH, boxes.HEIGHT), number), "PNG")


def test_a_list_of_shards(tmp_path, memory: Memory):
    write, split = LAYOUTS["webdataset"]
    local = write(tmp_path / "set", split)
    url = put_all(memory, local, "set")
    names = "/{train,val}-000.tar"
    assert detect(url + names) == ("webdataset", url + names)
    assert seen(open_source("webdataset", url + names)) == seen(open_source("webdataset", f"{local}{names}"))


def test_a_file_url_is_a_path(pictures: Path):
    assert_alike(pictures, pictures.as_uri())


def test_a_changed_object_has_another_stamp(tmp_path, bucket: Bucket):
    url = put_all(bucket, write_images(tmp_path / "set", {"cat": 2, "dog": 1}), "set")
    before = open_source("folder", url)
    stamps = {entry.locator: entry.stamp for entry in before.entries()}
    print_before = before.fingerprint()
    name, data = next((e.locator, before.read(e.locator)) for e in before.entries())
    bucket.put(f"set/{name}", data[:-1] + bytes([data[-1] ^ 1]))  # of the same size
    after = open_source("folder", url)
    changed = {entry.locator for entry in after.entries() if entry.stamp != stamps[entry.locator]}
    assert changed == {name} and after.fingerprint() != print_before
    assert open_source("folder", url).fingerprint() == after.fingerprint()


def test_an_object_that_goes_while_it_is_read_is_a_bad_image(tmp_path, bucket: Bucket):
    url = put_all(bucket, write_images(tmp_path / "set", {"cat": 2}), "set")
    source = open_source("folder", url)
    first, second = source.entries()
    bucket.remove(f"set/{first.locator}")
    with pytest.raises(BadImage, match=r"^missing file$"):
        source.read(first.locator)
    assert source.read(second.locator)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s4://bucket/x", "nothing is read from s4://"),
        ("https://example.org/x.tar", "is a web address, and nothing is downloaded"),
        ("s3://", "names no bucket"),
    ],
)
def test_what_is_no_url_of_a_store(url, said):
    with pytest.raises(RemoteError, match=said) as raised:
        detect(url)
    assert raised.value.hint


def test_a_folder_that_is_not_there_is_said_with_its_neighbour(bucket: Bucket):
    bucket.put("photos/a.png", boxes.picture())
    with pytest.raises(SourceError, match=f"^there is no {bucket.root}/photo$") as raised:
        detect(f"{bucket.root}/photo")
    assert raised.value.hint == "did you mean 'photos'?"


def test_a_bucket_that_is_not_there(bucket: Bucket):
    with pytest.raises(SourceError, match=r"^there is no s3://no-such-bucket-at-all/x$"):
        detect("s3://no-such-bucket-at-all/x")


def test_the_package_that_is_missing_is_named_with_its_extra(monkeypatch):
    from augforge.remote import urls

    urls._require.cache_clear()
    monkeypatch.setattr("augforge.optional.installed", lambda package: package != "gcsfs")
    with pytest.raises(RemoteError, match="gs:// needs gcsfs") as raised:
        detect("gs://bucket/x")
    urls._require.cache_clear()
    assert "augforge[gs]" in raised.value.hint


def test_an_image_of_a_folder_is_one_request(tmp_path, faulty: tuple[Bucket, Proxy]):
    bucket, proxy = faulty
    url = put_all(bucket, write_images(tmp_path / "set", {f"class {n}": 2 for n in range(8)}), "set")
    source = open_source("folder", url)
    locators = [entry.locator for entry in source.entries()]
    listed = len(proxy.seen)
    assert len(locators) == 16 and listed <= 3 + 8, "and a folder is one"
    assert all(source.read(locator) for locator in locators) and len(proxy.seen) == listed + 16


def test_shards_are_read_by_ranges(tmp_path, bucket: Bucket, monkeypatch):
    """Of a shard no byte is fetched twice in a row, and its members are not fetched one by one."""
    from augforge.remote.objects import Objects

    write, split = LAYOUTS["webdataset"]
    url = put_all(bucket, write(tmp_path / "set", split), "set")
    calls: list[tuple[str, int | None, int | None]] = []
    read = Objects.read

    def noted(self, url, start=None, end=None):
        calls.append((url, start, end))
        return read(self, url, start, end)

    monkeypatch.setattr(Objects, "read", noted)
    source = open_source("webdataset", url)
    assert len([source.read(entry.locator) for entry in source.entries()]) == 10
    shards = [call for call in calls if call[0].endswith(".tar")]
    assert len(shards) == 2 and {(start, end) for _, start, end in shards} == {(0, 20480)}
