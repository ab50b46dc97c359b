"""What the engine lets a filter see, and that it computes only what is asked for."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest

from augforge.data.images import decode
from augforge.data.ledger import Ledger
from augforge.data.sample import Sample
from augforge.data.store import Store
from augforge.engine.context import RunContext
from augforge.engine.embedding import Embedders
from augforge.engine.run import run
from augforge.engine.runners.filter import run_filter
from augforge.errors import BadImage
from augforge.recipe import Recipe, SourceSpec
from augforge.stages.filter_inputs import FilterInputs
from augforge.stages.filters.clip import Clip
from augforge.stages.filters.label_preserved import LabelPreserved
from augforge.stages.filters.margin import Margin
from augforge.stages.filters.outlier import Outlier
from augforge.stages.filters.prototype import Prototype
from augforge.stages.filters.safety import Safety
from augforge.stages.filters.weight_unicon import WeightUnicon
from tests.stages.filters.galleries import X, inputs, noise
from tests.test_laws import rows

ALONE = (Safety, WeightUnicon, Margin)
WITH_REAL = (Prototype, Clip, Outlier)


class Folder:
    """Pictures by id; those named in `gone` can no longer be read."""

    def __init__(self, gone=()):
        self.gone = gone

    def bytes_of(self, sample):
        if sample.id in self.gone:
            raise BadImage("gone")
        buffer = io.BytesIO()
        noise(32, 32, int(sample.id[1:])).save(buffer, "PNG")
        return buffer.getvalue()


def digest(identity):
    return hashlib.sha256(identity.encode()).hexdigest()


def ledger():
    """Six real pictures of two classes (one for evaluation), and four made from them."""
    real = [
        Sample(id=f"r{i}", label="ab"[i % 2], digest=digest(f"r{i}"), split="test" if i == 5 else "train")
        for i in range(6)
    ]
    parents = (("r0",), ("r1",), ("r2", "r4"), ())
    made = [
        Sample(id=f"s{i + 6}", label="ab"[i % 2], origin="synthetic", parents=theirs, digest=digest(f"s{i + 6}"))
        for i, theirs in enumerate(parents)
    ]
    found = Ledger(["a", "b"])
    found.extend([*real, *made])
    return found


def context(store, pixels, found):
    return RunContext(found, Embedders(store, pixels, "cpu"))


def judge(stage, tmp_path, gone=()):
    store, found = Store(tmp_path / "run"), ledger()
    did = run_filter(stage, "1-filter", context(store, Folder(gone), found))
    texts = sum(len(path.read_bytes()) > 0 for path in (tmp_path / "run").glob("vectors/*-text/*.arrow"))
    return found, did, texts


def test_what_was_not_given_raises():
    bare = FilterInputs(["a"], np.array([0]), ["x"])
    for ask in (lambda: bare.images, lambda: bare.reference, lambda: bare.parents, lambda: bare.known):
        with pytest.raises(LookupError):
            ask()
    with pytest.raises(LookupError):
        bare.texts(["x"])
    assert len(bare) == 1


def test_each_is_asked_for_once():
    asked = []
    shown = FilterInputs(["a"], np.array([0]), ["x"], images=lambda: asked.append(1) or X[None])
    assert (shown.images is shown.images) and len(asked) == 1


@pytest.mark.parametrize("cls", ALONE, ids=lambda cls: cls.name)
def test_filters_that_need_no_real_images_embed_none(cls, tmp_path, tiny_clip):
    assert not cls.needs_real
    _, did, texts = judge(cls(model=str(tiny_clip), on="synthetic"), tmp_path)
    assert did == {"measured": 4, "reused": 0}
    assert bool(texts) == (cls is not WeightUnicon)


@pytest.mark.parametrize("cls", WITH_REAL, ids=lambda cls: cls.name)
def test_filters_that_need_them_embed_all_but_those_for_evaluation(cls, tmp_path, tiny_clip):
    assert cls.needs_real
    stage = cls(model=str(tiny_clip), on="synthetic")
    _, did, texts = judge(stage, tmp_path)
    assert did == {"measured": 9, "reused": 0} and bool(texts) == (cls is Clip)
    assert judge(stage, tmp_path)[1] == {"measured": 0, "reused": 9}


def test_children_embed_their_own_parents_only_and_go_where_they_have_none(tmp_path, tiny_clip):
    found, did, texts = judge(LabelPreserved(model=str(tiny_clip), min=-1), tmp_path)
    assert did == {"measured": 4 + 4, "reused": 0} and not texts
    assert found.kept.tolist() == [True] * 9 + [False]
    assert found.dropped[9] == "label-preserved: it has no parent to compare with"


def test_a_childs_score_is_the_cosine_to_its_own_parents(tmp_path, tiny_clip):
    from augforge.models import find_model
    from augforge.models.image_text import ImageText

    found, _, _ = judge(LabelPreserved(model=str(tiny_clip), min=-1), tmp_path)
    model = ImageText(find_model(str(tiny_clip), "image-text"), "cpu")
    v = model.embed_images([decode(Folder().bytes_of(sample)) for sample in found.samples(np.arange(10))])
    mean = v[2] + v[4]
    expected = [v[6] @ v[0], v[7] @ v[1], v[8] @ mean / np.linalg.norm(mean)]
    assert found.scores["label-preserved"][6:9] == pytest.approx(expected, abs=1e-5)


def test_a_parent_that_cannot_be_read_costs_its_own_row(tmp_path, tiny_clip):
    found, _, _ = judge(LabelPreserved(model=str(tiny_clip), min=-1), tmp_path, gone=("r0", "r2"))
    assert "gone" in found.dropped[0] and "gone" in found.dropped[2]
    assert found.kept[[1, 3, 4, 5, 7, 8]].all() and not found.kept[[6, 9]].any()


@pytest.mark.parametrize("cls", [*ALONE, *WITH_REAL], ids=lambda cls: cls.name)
def test_images_that_cannot_be_read_cost_their_own_rows(cls, tmp_path, tiny_clip):
    names = [f"r{i}" for i in range(6)] + [f"s{i}" for i in range(6, 10)]
    for number, gone in enumerate((["r1", "s7"], names)):
        found, _, _ = judge(cls(model=str(tiny_clip), on="all", keep=1.0), tmp_path / str(number), gone)
        lost = [reason is not None and "gone" in reason for reason in found.dropped]
        assert lost == [name in gone for name in names]
        found.reconcile()


@pytest.mark.parametrize("cls", [*ALONE, *WITH_REAL], ids=lambda cls: cls.name)
def test_the_order_of_the_images_does_not_matter_to_the_last_bit(cls, tmp_path, tiny_clip):
    found, _, _ = judge(cls(model=str(tiny_clip), on="all", keep=1.0), tmp_path / "straight")
    turned = Ledger(["a", "b"])
    turned.extend(list(ledger().samples(np.arange(10)))[::-1])
    store = Store(tmp_path / "turned")
    run_filter(
        cls(model=str(tiny_clip), on="all", keep=1.0),
        "1-filter",
        context(store, Folder(), turned),
    )
    assert (turned.weight[::-1] == found.weight).all()
    for name in cls.measures:
        assert np.array_equal(turned.scores[name][::-1], found.scores[name], equal_nan=True)


def test_weights_are_written_and_multiply_what_was_there(pictures, tmp_path, tiny_clip):
    stage = WeightUnicon(model=str(tiny_clip), on="all", tau=0.05)
    source = (SourceSpec("folder", str(pictures)),)
    run(Recipe("once", 0, source, (stage,)), tmp_path / "once")
    run(Recipe("twice", 0, source, (stage, stage)), tmp_path / "twice")
    once, twice = rows(tmp_path / "once"), rows(tmp_path / "twice")
    for label, count in (("cat", 6), ("dog", 4), ("lone", 1)):
        weights = [row["weight"] for row in once.values() if row["label"] == label]
        assert len(weights) == count and sum(weights) == pytest.approx(count)
    assert len({row["weight"] for row in once.values()}) > 3
    assert all(row["kept"] and row["weight"] == dict(row["scores"])["weight-unicon"] for row in once.values())
    assert all(twice[i]["weight"] == pytest.approx(row["weight"] ** 2) for i, row in once.items())


def test_a_gallery_by_hand_is_a_gallery():
    assert inputs([X], [0], reference=([X], [0], "u")).prototypes[0].tolist() == X.tolist()
