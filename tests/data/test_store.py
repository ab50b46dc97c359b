"""The run folder: parts appear whole or not at all, damage is named and healed, two writers are refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from augforge.data import parts as module
from augforge.data.files import digest_of, write_atomically
from augforge.data.store import Store
from augforge.errors import StoreError

SCHEMA = pa.schema([("id", pa.string()), ("value", pa.int64())])


def rows(*numbers):
    return [{"id": f"i{n}", "value": n} for n in numbers]


@pytest.fixture
def store(tmp_path):
    said = []
    store = Store(tmp_path / "run", said.append)
    store.said = said
    return store


def test_what_is_written_is_found_again_in_any_order(store):
    parts = store.parts("x", SCHEMA)
    with parts.writing() as writer:
        writer.add(rows(3, 1))
        writer.flush()
        writer.add(rows(2))
    again = store.parts("x", SCHEMA)
    assert len(again) == 3 and len(list(again.folder.glob("*.arrow"))) == 2
    assert [row["value"] for row in again.rows(["i2", "i1", "i3"], ["value"])] == [2, 1, 3]
    assert again.missing(["i9", "i1", "i9", "i8"]) == ["i9", "i8"]
    assert again.row("i3")["value"] == 3
    with pytest.raises(KeyError):
        again.row("i4")


def test_what_was_added_before_an_exception_is_kept(store):
    parts = store.parts("x", SCHEMA)
    with pytest.raises(RuntimeError), parts.writing() as writer:
        writer.add(rows(1, 2))
        raise RuntimeError
    assert len(store.parts("x", SCHEMA)) == 2


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:100] + bytes([b[100] ^ 1]) + b[101:]])
def test_a_damaged_part_is_named_and_set_aside(store, damage):
    parts = store.parts("x", SCHEMA)
    parts.commit(rows(1))
    parts.commit(rows(2))
    first = sorted(parts.folder.glob("*.arrow"))[0]
    first.write_bytes(damage(first.read_bytes()))
    healed = store.parts("x", SCHEMA)
    assert len(healed) == 1
    assert len(store.said) == 1 and first.stem in store.said[0] and "damaged" in store.said[0]


def hashed_bytes(monkeypatch):
    """Of all files that the store hashes from now on: their bytes, in a list that grows."""
    seen = []

    def counting(path):
        seen.append(path.stat().st_size)
        return digest_of(path)

    monkeypatch.setattr("augforge.data.parts.digest_of", counting)
    return seen


def test_what_was_verified_is_hashed_once_however_often_the_folder_is_read_again(store, monkeypatch):
    """While several processes generate, the folder is read again every ten seconds."""
    parts, seen = store.parts("x", SCHEMA), hashed_bytes(monkeypatch)
    for number in range(8):
        parts.commit(rows(number))
        parts.reload()
        parts.reload()
    size = sum(path.stat().st_size for path in parts.folder.glob("*.arrow"))
    assert sum(seen) == size and len(seen) == 8  # with every part each time it would be 72 of them
    assert [row["value"] for row in parts.rows(["i7", "i0"], ["value"])] == [7, 0]


def test_what_has_gone_is_no_longer_found(store):
    parts = store.parts("x", SCHEMA)
    with parts.writing() as writer:
        writer.add(rows(1))
        writer.flush()
        writer.add(rows(2))
    next(iter(parts.folder.glob("*.arrow"))).unlink()
    parts.reload()
    assert len(parts) == 1 and len(parts.missing(["i1", "i2"])) == 1


def swapped(path):
    """Change a byte of a file in place: size and time of change stay what they were."""
    stat, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def later(path):
    swapped(path)
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


def shorter(path):
    stat, content = path.stat(), path.read_bytes()
    path.unlink()  # a mapped file must not shrink under its reader
    path.write_bytes(content[:-8])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("damage", [swapped, later, shorter])
def test_a_changed_part_is_found_by_who_opens_the_folder_anew(store, damage):
    """Were a name that was verified once trusted for ever in this process, it would not be."""
    parts = store.parts("x", SCHEMA)
    parts.commit(rows(1))
    parts.reload()
    assert parts.missing(["i1"]) == []
    damage(next(iter(parts.folder.glob("*.arrow"))))
    assert store.parts("x", SCHEMA).missing(["i1"]) == ["i1"]
    assert len(store.said) == 1 and "damaged" in store.said[0]


@pytest.mark.parametrize("damage", [later, shorter])
def test_a_part_of_another_size_or_time_is_hashed_again_by_who_uses_it(store, damage):
    parts = store.parts("x", SCHEMA)
    parts.commit(rows(1))
    parts.reload()
    damage(next(iter(parts.folder.glob("*.arrow"))))
    parts.reload()
    assert parts.missing(["i1"]) == ["i1"]
    assert len(store.said) == 1 and "damaged" in store.said[0]


def test_many_small_parts_become_one_and_nothing_is_lost(store, monkeypatch):
    monkeypatch.setattr(module, "SMALL_PARTS", 8)
    parts = store.parts("many", SCHEMA)
    numbered = [{"id": f"{n:04d}", "value": n} for n in range(40)]
    for row in numbered:
        parts.commit([row])
    with parts.writing() as writer:
        writer.add([{"id": "last", "value": 40}])
    assert len(list(parts.folder.glob("*.arrow"))) == 1 and len(parts) == 41
    again = store.parts("many", SCHEMA)
    assert [row["value"] for row in again.rows([row["id"] for row in numbered], ["value"])] == list(range(40))


def test_large_parts_are_left_alone(store, monkeypatch):
    monkeypatch.setattr(module, "SMALL_PARTS", 2)
    monkeypatch.setattr(module, "SMALL_BYTES", 1)
    parts = store.parts("many", SCHEMA)
    for n in range(5):
        parts.commit([{"id": str(n), "value": n}])
    parts.reload()
    parts.merge()
    assert len(list(parts.folder.glob("*.arrow"))) == 5


def test_merging_cut_short_leaves_every_row_and_the_next_one_ends_it(store, monkeypatch):
    """The merged part is there before a small one goes; a row that is there twice is found once."""
    monkeypatch.setattr(module, "SMALL_PARTS", 2)
    parts = store.parts("many", SCHEMA)
    for n in range(6):
        parts.commit([{"id": str(n), "value": n}])
    parts.reload()
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        parts.merge()
    monkeypatch.undo()
    again = store.parts("many", SCHEMA)
    assert [row["value"] for row in again.rows([str(n) for n in range(6)], ["value"])] == list(range(6))


def test_a_half_written_temporary_file_is_not_seen(store):
    parts = store.parts("x", SCHEMA)
    parts.commit(rows(1))
    (parts.folder / ".abc.arrow.1.tmp").write_bytes(b"half")
    assert len(store.parts("x", SCHEMA)) == 1


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        write_atomically(tmp_path / "file", b"content")
    assert list(tmp_path.iterdir()) == []


def test_vectors_come_back_bit_by_bit(store):
    vectors = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    parts = store.vectors("m")
    with parts.writing() as writer:
        writer.add([{"digest": f"d{i}", "vector": v} for i, v in enumerate(vectors)])
    back = store.vectors("m").matrix(["d4", "d0", "d4"], "vector")
    assert (back == vectors[[4, 0, 4]]).all() and back.dtype == np.float32


HOLD = """
import sys, time
from pathlib import Path
from augforge.data.store import Store
with Store(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_refused_and_a_dead_one_does_not_block(store):
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(store.folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match="another augforge is writing"), store.locked():
            pass
    finally:
        other.kill()
        other.wait()
    with store.locked():
        pass


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("important")
    with pytest.raises(StoreError, match="not of a run"), Store(tmp_path).locked():
        pass


def test_a_folder_of_another_format_is_refused_with_the_remedy(store):
    store.folder.mkdir()
    (store.folder / "run.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(StoreError, match="format 99") as caught, store.locked():
        pass
    assert "new folder" in caught.value.hint
