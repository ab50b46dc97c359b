"""Embedding: once per image and model, once ever with a shared store, and loading runs beside the model."""

import io
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from augforge.data.store import Store
from augforge.data.vectors import VARIABLE
from augforge.engine import embedding as module
from augforge.engine.embedding import Embedder, Embedders, Timing, stored_vectors, vectors_key
from augforge.engine.ingest import read_sources
from augforge.engine.pixels import Pixels
from augforge.io import open_source
from augforge.models import find_model
from augforge.models.loading import load_embedder
from augforge.progress import Progress
from tests.conftest import write_images


@pytest.fixture(autouse=True)
def no_shared_store(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


class Said(Progress):
    """Remembers what was said."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


class Run:
    """A run over a folder of pictures, as far as embedding needs one."""

    def __init__(self, folder, out):
        self.store, self.progress = Store(out), Said()
        sources = [open_source("folder", str(folder))]
        self.ledger, _ = read_sources(sources, self.store, self.progress)
        self.pixels, self.dropped = Pixels(sources), []

    def embedder(self, task="image-text", name="builtin-clip", shared=None, **options):
        store = self.store if shared is None else Store(self.store.folder, shared=shared)
        return Embedder(name, task, Embedders(store, self.pixels, "cpu", self.progress, **options))

    def vectors(self, embedder, indices=None):
        wanted = np.arange(len(self.ledger)) if indices is None else np.array(indices)
        return embedder.images(self.ledger, wanted, lambda digests, reason: self.dropped.append((digests, reason)))

    @property
    def loaded(self):
        return sum(line.startswith("loading") for line in self.progress.lines)


def direct(run):
    """What the model says of each picture by itself."""
    model = load_embedder(find_model("builtin-clip", "image-text"), "cpu")
    samples = run.ledger.samples(np.arange(len(run.ledger)))
    opened = [Image.open(io.BytesIO(run.pixels.bytes_of(sample))).convert("RGB") for sample in samples]
    return np.concatenate([model.embed_images([image]) for image in opened])


def test_the_vectors_are_those_of_the_model(pictures, tmp_path):
    run = Run(pictures, tmp_path / "out")
    embedder = run.embedder()
    np.testing.assert_allclose(run.vectors(embedder), direct(run), atol=1e-6)
    assert embedder.computed == embedder.timing.images == 11
    np.testing.assert_array_equal(run.vectors(embedder, [3, 3, 0]), direct(run)[[3, 3, 0]])
    assert embedder.computed == 11 and run.loaded == 1
    assert (tmp_path / "out" / "vectors" / vectors_key("builtin-clip")).is_dir()


def test_a_shared_store_is_asked_first_and_only_new_images_are_computed(pictures, tmp_path):
    shared = tmp_path / "shared"
    first = Run(pictures, tmp_path / "one")
    vectors = first.vectors(first.embedder(shared=shared))
    write_images(pictures / "more", {"bird": 3}, seed=9)
    second = Run(pictures, tmp_path / "two")
    embedder = second.embedder("image-embedding", shared=shared)  # the same vectors under the other task
    found = second.vectors(embedder)
    assert embedder.computed == 3
    known = dict(zip(first.ledger.column("digest"), vectors, strict=True))
    for digest, vector in zip(second.ledger.column("digest"), found, strict=True):
        np.testing.assert_array_equal(vector, known.get(digest, vector))
    third = Run(pictures, tmp_path / "three")
    third.vectors(third.embedder(shared=shared))
    assert third.loaded == 0 and not (tmp_path / "three" / "vectors").exists()


def test_the_environment_names_the_shared_store(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "shared"))
    run = Run(pictures, tmp_path / "out")
    run.vectors(run.embedder())
    assert len(stored_vectors("builtin-clip", "image-text", run.store)) == 11
    assert not (tmp_path / "out" / "vectors").exists()


def test_half_precision_lies_beside_and_differs_little(pictures, tmp_path):
    run = Run(pictures, tmp_path / "out")
    full, half = (run.vectors(run.embedder(precision=p)) for p in ("float32", "float16"))
    assert 0 < np.abs((full * half).sum(axis=1) - 1).max() < 1e-3
    assert len(list((tmp_path / "out" / "vectors").iterdir())) == 2


def test_another_process_has_computed_them_meanwhile(pictures, tmp_path):
    run = Run(pictures, tmp_path / "out")
    late = run.embedder()
    run.vectors(run.embedder())
    run.vectors(late)
    assert late.computed == 0 and run.loaded == 1


def test_the_key_knows_model_task_and_decoding(monkeypatch, tiny_clip):
    keys = {vectors_key("builtin-clip"), vectors_key(str(tiny_clip))}
    assert vectors_key("builtin-clip", "image-embedding") in keys
    monkeypatch.setattr(module, "DECODING", 99)
    keys.add(vectors_key("builtin-clip"))
    assert len(keys) == 3


def test_an_image_that_is_gone_is_dropped_and_the_others_stay(pictures, tmp_path):
    run = Run(pictures, tmp_path / "out")
    expected = direct(run)
    gone = next(iter(run.ledger.samples(np.array([4]))))
    (pictures / gone.source.split(": ")[-1]).write_bytes(b"no picture any more")
    found = run.vectors(run.embedder())
    assert [digests for digests, _ in run.dropped] == [[gone.digest]]
    assert np.isnan(found[4]).all()
    others = np.arange(len(found)) != 4
    np.testing.assert_allclose(found[others], expected[others], atol=1e-6)


def test_loading_runs_beside_the_model(pictures, tmp_path, monkeypatch):
    """Six batches, each 0.15 s of loading in two threads and 0.15 s of model: not the 1.8 s of one after another."""
    run = Run(pictures, tmp_path / "out")
    threads = set()

    class Slow:
        def embed_images(self, images):
            time.sleep(0.15)
            return np.ones((len(images), 4), dtype=np.float32)

    def slow(self, batch):
        threads.add(threading.get_ident())
        time.sleep(0.15)
        return ([sample.digest for sample in batch], [None] * len(batch)), {}, 0.15

    monkeypatch.setattr(module.Embedding, "per_batch", 2, raising=False)
    monkeypatch.setattr(module, "loaders", lambda: 2)
    monkeypatch.setattr(module, "WORTH_SAYING", 0.0)
    monkeypatch.setattr(module.EmbeddingMaker, "load", slow)
    monkeypatch.setattr(Embedder, "_loaded", lambda self: Slow())
    embedder = run.embedder()
    start = time.monotonic()
    run.vectors(embedder)
    assert time.monotonic() - start < 1.5 and threading.get_ident() not in threads and len(threads) == 2
    assert embedder.timing.model == pytest.approx(0.9, abs=0.25)
    assert any("s of embedding, held up by" in line for line in run.progress.lines)


@pytest.mark.parametrize(
    ("model", "decode", "expected"),
    [(9.5, 3.0, "the model"), (4.0, 38.0, "decoding"), (4.0, 8.0, "reading and writing")],
)
def test_the_bottleneck_is_named(model, decode, expected):
    timing = Timing(images=100, seconds=10.0, model=model, decode=decode, loaders=4)
    assert timing.bottleneck == expected
    share = f"the model was busy {10 * model:.0f} % of the time"
    assert timing.sentence() == f"100 images in 10 s of embedding, held up by {expected} ({share}, 4 loaders)"


def test_loading_the_model_is_no_time_of_embedding(pictures, tmp_path, monkeypatch):
    run, model = (
        Run(pictures, tmp_path / "out"),
        module.load_adapter("builtin-clip", "image-embedding", "cpu", Progress()),
    )

    def slowly(*asked):
        time.sleep(3.0)
        return model

    monkeypatch.setattr(module, "load_adapter", slowly)
    embedder = run.embedder()
    run.vectors(embedder)
    assert embedder.timing.images == len(run.ledger) and 0 < embedder.timing.seconds < 3.0


def test_the_cores_decide_how_many_load(monkeypatch):
    for cores, expected in ((1, 2), (12, 12), (96, 32)):
        monkeypatch.setattr(module, "os", SimpleNamespace(sched_getaffinity=lambda _, n=cores: set(range(n))))
        assert module.loaders() == expected
