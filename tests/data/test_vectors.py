"""The store of vectors: any order, any number of writers, no hash twice, no damage unseen."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from augforge.data import vectors as module
from augforge.data.store import Store
from augforge.data.vectors import VARIABLE, Vectors, shared_store, vectors_folder
from augforge.errors import StoreError


def digest(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


def unit(*numbers, size=48):
    """(n, size) unit vectors, each following from its number."""
    rows = np.stack([np.random.default_rng(number).normal(size=size) for number in numbers])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def write(store, *numbers):
    store.commit([{"digest": digest(n), "vector": v} for n, v in zip(numbers, unit(*numbers), strict=True)])


@pytest.fixture
def said():
    return []


@pytest.fixture
def store(tmp_path, said):
    return Vectors(tmp_path / "vectors" / "key", "float32", said.append)


def again(store, **options):
    return Vectors(store.folder, store.precision, store._say, **options)


def test_what_is_written_is_found_in_any_order(store):
    with store.writing() as writer:
        writer.add([{"digest": digest(n), "vector": unit(n)[0]} for n in range(40)])
        writer.flush()
        writer.add([{"digest": digest(n), "vector": unit(n)[0]} for n in range(30, 70)])
    wanted = [int(n) for n in np.random.default_rng(1).integers(0, 70, 200)]
    for opened in (store, again(store)):
        assert opened.keys() == {digest(n) for n in range(70)}
        np.testing.assert_array_equal(opened.matrix([digest(n) for n in wanted]), unit(*wanted))
        assert opened.missing([digest(99), digest(3), digest(99), digest(98)]) == [digest(99), digest(98)]
        assert (opened.find(["", "no digest", digest(3).upper(), digest(3)[:-1]]) == -1).all()
        with pytest.raises(KeyError, match=digest(99)):
            opened.matrix([digest(1), digest(99)])
    assert store.matrix([]).shape == (0, 0)


def test_digests_with_the_same_first_half_are_told_apart(store):
    alike = [digest(0)[:16] + digest(n)[16:] for n in range(1, 6)]
    store.commit([{"digest": d, "vector": unit(n)[0]} for n, d in enumerate(alike[:4])])
    store.reload()
    np.testing.assert_array_equal(store.matrix(alike[3::-1]), unit(3, 2, 1, 0))
    assert store.find([alike[4]])[0] == -1  # its first 64 bits are there, it is not


def test_what_is_no_digest_is_refused(store):
    with pytest.raises(ValueError, match="no SHA-256"):
        store.commit([{"digest": "d4", "vector": unit(0)[0]}])


def test_half_precision_keeps_the_cosines(tmp_path):
    numbers = range(64)
    sizes = {}
    for precision in ("float32", "float16"):
        store = Vectors(tmp_path / precision, precision)
        write(store, *numbers)
        store.reload()
        found = store.matrix([digest(n) for n in numbers])
        assert found.dtype == np.float32
        sizes[precision] = np.abs(found @ found.T - unit(*numbers) @ unit(*numbers).T).max()
    assert sizes["float32"] == pytest.approx(0, abs=1e-6)
    assert 1e-6 < sizes["float16"] < 1e-3


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[: len(b) // 2], lambda b: b[:900] + bytes([b[900] ^ 1]) + b[901:], lambda b: b""],
    ids=["truncated", "flipped", "empty"],
)
def test_a_damaged_part_is_named_and_set_aside(store, said, damage):
    write(store, 1)
    write(store, 2)
    (path, _) = sorted(store.folder.glob("*.arrow"))
    path.write_bytes(damage(path.read_bytes()))
    healed = again(store)
    assert len(healed) == 1
    assert len(said) == 1 and path.stem in said[0] and "damaged" in said[0]
    assert not path.exists() and path.with_suffix(".damaged").exists()


def test_a_part_is_hashed_once(store, monkeypatch):
    write(store, 1)
    write(store, 2)
    hashed = []
    sound = Vectors._sound
    monkeypatch.setattr(Vectors, "_sound", lambda self, path: hashed.append(path) or sound(self, path))
    assert len(again(store)) == 2 and not hashed  # who wrote them had hashed them
    (store.folder / module.VERIFIED).unlink()
    assert len(again(store)) == 2 and len(hashed) == 2
    assert len(again(store)) == 2 and len(hashed) == 2
    touched = sorted(store.folder.glob("*.arrow"))[0]
    os.utime(touched, ns=(1, 1))
    assert len(again(store)) == 2 and hashed[2:] == [touched]


@pytest.mark.parametrize("where", ["in the vector", "in the footer"])
def test_damage_that_leaves_size_and_time(store, said, where):
    write(store, 1)
    (path,) = store.folder.glob("*.arrow")
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[content.index(unit(1).tobytes()) if where == "in the vector" else len(content) - 40] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    opened = again(store)
    if where == "in the vector":  # which only hashing it again tells
        assert len(opened) == 1 and not said
        assert opened.verify() == 1
    assert len(said) == 1 and opened.verify() == 0 and len(again(store)) == 0


def test_a_half_written_temporary_file_is_not_seen(store):
    write(store, 1)
    (store.folder / ".abc.arrow.1.tmp").write_bytes(b"half")
    assert len(again(store)) == 1


def test_a_reader_sees_what_others_wrote_when_it_reloads(store):
    reader = again(store)
    write(store, 1)
    assert reader.find([digest(1)])[0] == -1
    reader.reload()
    np.testing.assert_array_equal(reader.matrix([digest(1)]), unit(1))


def test_small_parts_are_merged_and_an_old_reader_keeps_what_it_has(store, monkeypatch):
    monkeypatch.setattr(module, "SMALL_PARTS", 3)
    monkeypatch.setattr(module, "SMALL_ROWS", 10)
    for start in range(0, 24, 2):
        write(store, start, start + 1, start + 2)  # one of them is in the next part too
    reader = again(store)
    store.reload()
    before = set(store.folder.glob("*.arrow"))
    store.merge()
    after = set(store.folder.glob("*.arrow"))
    assert len(before) == 12 and len(after) == 3 and not before & after
    numbers = list(range(25))
    for opened in (store, reader, again(store)):
        np.testing.assert_array_equal(opened.matrix([digest(n) for n in numbers]), unit(*numbers))
    assert len(again(store)) < 12 * 3  # those that were twice in a merged part are there once
    reader.reload()
    np.testing.assert_array_equal(reader.matrix([digest(n) for n in numbers]), unit(*numbers))


def test_a_part_that_holds_all_the_others_is_not_removed(store, monkeypatch):
    monkeypatch.setattr(module, "SMALL_PARTS", 1)
    write(store, *sorted(range(6), key=digest))  # as merging would order them
    write(store, 2, 4)
    store.reload()
    store.merge()
    assert len(list(store.folder.glob("*.arrow"))) == 1
    for opened in (store, again(store)):
        np.testing.assert_array_equal(opened.matrix([digest(n) for n in range(6)]), unit(*range(6)))


WRITER = """
import sys
from augforge.data import vectors
from tests.data.test_vectors import digest, unit, write
vectors.SMALL_PARTS, vectors.SMALL_ROWS = 4, 12
start = int(sys.argv[2])
store = vectors.Vectors(vectors.Path(sys.argv[1]))
for number in range(start, start + 40, 2):
    with store.writing() as writer:
        writer.add([{"digest": digest(n), "vector": unit(n)[0]} for n in (number, number + 1)])
"""


def test_several_processes_write_at_once(store):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(store.folder), str(start)]) for start in (0, 20, 40)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    opened = again(store)
    numbers = list(range(80))
    np.testing.assert_array_equal(opened.matrix([digest(n) for n in numbers]), unit(*numbers))
    assert not list(store.folder.glob("*.damaged"))
    assert len(list(store.folder.glob("*.arrow"))) < 60  # they were merged on the way


def test_the_parts_are_ordinary_arrow_files(tmp_path):
    folder = tmp_path / "vectors" / "key"
    write(Vectors(folder), 3, 4)
    (path,) = folder.glob("*.arrow")
    table = pa.ipc.open_file(path).read_all()
    assert table.column("digest").to_pylist() == [digest(3), digest(4)]
    np.testing.assert_array_equal(np.array(table.column("vector").to_pylist(), dtype=np.float32), unit(3, 4))
    np.testing.assert_array_equal(Store(tmp_path).vectors("key").matrix([digest(4)], "vector"), unit(4))


def test_where_the_vectors_lie(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    run, shared, other = tmp_path / "run", tmp_path / "shared", tmp_path / "other"
    assert vectors_folder(run, "k") == run / "vectors" / "k"
    assert vectors_folder(run, "k", "float16", shared) == shared / "vectors" / "k-float16"
    monkeypatch.setenv(VARIABLE, str(other))
    assert vectors_folder(run, "k") == other / "vectors" / "k"
    assert shared_store(shared) == shared
    other.write_text("a file")
    with pytest.raises(StoreError, match="is a file"):
        vectors_folder(run, "k")
