"""The diffusion stages on every back-end: what is refused before loading, what is recorded, what couples."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from augforge.engine.jobs import plan
from augforge.engine.loading import loading
from augforge.engine.run import run
from augforge.errors import AugforgeError
from augforge.models.backends import Backend
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.generators import diffusion
from augforge.stages.prompts import USUAL, choose
from tests.conftest import write_images
from tests.test_laws import rows
from tests.tiny_backends import save_tiny_adapter, save_tiny_flux, save_tiny_kandinsky, save_tiny_redux
from tests.tiny_newer import save_tiny_dit
from tests.tiny_references import save_tiny_flux2_klein


def made(out: Path) -> list[dict]:
    return [row for row in rows(out).values() if row["origin"] == "synthetic"]


def recipe(folder: Path, name: str, **options) -> Recipe:
    stage = build_stage("generate", name, {"per-class": 2, "batch": 2, "steps": 2, **options})
    return Recipe("stages", 3, (SourceSpec("folder", str(folder)),), (stage,))


@pytest.fixture(scope="module")
def adapted(tiny_models, tmp_path_factory) -> dict[str, str]:
    base = Path(tiny_models["text-to-image"])
    adapter = save_tiny_adapter(tmp_path_factory.mktemp("adapter") / "adapter", base)
    return {"model": str(base), "backend": "ip-adapter", "adapter": str(adapter)}


@pytest.fixture(scope="module")
def kandinsky(tmp_path_factory) -> dict[str, str]:
    folder = save_tiny_kandinsky(tmp_path_factory.mktemp("kandinsky") / "k")
    return {"model": str(folder), "prior": str(folder / "prior")}


@pytest.fixture(scope="module")
def klein(tmp_path_factory) -> str:
    return str(save_tiny_flux2_klein(tmp_path_factory.mktemp("klein") / "k"))


def test_an_image_made_from_a_reference_is_of_its_own_parent_whatever_else_is_in_the_batch(pictures, tmp_path, klein):
    options = {"model": klein, "steps": 1, "width": 32, "height": 32, "batch": 4, "per-class": 1}
    run(recipe(pictures, "img2img", **options), tmp_path / "all")
    shutil.rmtree(pictures / "dog")
    run(recipe(pictures, "img2img", **options), tmp_path / "fewer")
    before, after = made(tmp_path / "all"), made(tmp_path / "fewer")
    assert len(before) == 3 and all(len(row["parents"]) == 1 for row in before)
    assert {row["digest"] for row in after} == {row["digest"] for row in before if row["label"] != "dog"}
    assert json.loads(before[0]["generation_config"])["pipeline"] == "Flux2KleinPipeline"


def test_a_model_is_told_to_be_tried_while_it_is_loaded(tiny_models):
    class Told(Progress):
        def say(self, text: str) -> None:
            self.text = text

    told = Told()
    stage = build_stage("generate", "text2img", {"model": tiny_models["text-to-image"]})
    with loading(stage, told):
        assert told.text.endswith("B, then tried on two made-up rows)"), told.text


@pytest.mark.parametrize("mode", ["embed-cutmix-dropout", "mixup"])
@pytest.mark.parametrize("which", ["kandinsky", "adapted"])
def test_augmented_conditioning_runs_on_every_back_end_that_carries_an_embedding(
    pictures, tmp_path, request, which, mode
):
    run(recipe(pictures, "augmented-conditioning", mode=mode, **request.getfixturevalue(which)), tmp_path / "out")
    assert len(made(tmp_path / "out")) == 6 and all(row["kept"] for row in made(tmp_path / "out"))


@pytest.fixture(scope="module")
def redux(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("redux")
    prior = save_tiny_redux(folder / "prior")
    return {"model": str(save_tiny_flux(folder / "flux")), "backend": "redux", "prior": str(prior)}


@pytest.fixture(scope="module")
def referring(klein) -> dict[str, str]:
    return {"model": klein, "fallback": "crop"}


@pytest.mark.parametrize("which", ["adapted", "redux", "referring"])
def test_both_parents_are_referred_to_and_each_picture_is_made_from_its_own_alone(pictures, tmp_path, request, which):
    size = {"width": 32, "height": 32, "steps": 1, "batch": 3}
    options = {"mode": "references", **size, **request.getfixturevalue(which)}
    run(recipe(pictures, "augmented-conditioning", **options), tmp_path / "all")
    shutil.rmtree(pictures / "dog")
    run(recipe(pictures, "augmented-conditioning", **options), tmp_path / "fewer")
    before, after = made(tmp_path / "all"), made(tmp_path / "fewer")
    assert all(row["kept"] and "lam" not in json.loads(row["sampled_params"]) for row in before)
    for row in before:
        assert len(set(row["parents"])) == (1 if row["label"] == "lone" else 2)
    kept = {row["id"]: row["digest"] for row in before if row["label"] != "dog"}
    assert {row["id"]: row["digest"] for row in after} == kept


@pytest.mark.parametrize("task", ["image-to-image", "variation"])
def test_augmented_conditioning_mixes_pixels_where_only_an_image_is_carried(pictures, tmp_path, tiny_models, task):
    options = {"model": tiny_models[task], "backend": task, "mode": "cutmix", "fallback": "crop"}
    run(recipe(pictures, "augmented-conditioning", **options), tmp_path / "out")
    assert all(row["kept"] and json.loads(row["sampled_params"])["box"] for row in made(tmp_path / "out"))


@pytest.mark.parametrize(
    ("name", "task", "options", "message"),
    [
        ("augmented-conditioning", "variation", {"mode": "embed-mixup"}, "carries no embedding"),
        ("augmented-conditioning", "image-to-image", {"mode": "dropout"}, "carries no embedding"),
        ("augmented-conditioning", "image-to-image", {"mode": "cutmix"}, "fallback"),
        ("augmented-conditioning", "image-to-image", {"mode": "references"}, "refers to one image only"),
        ("augmented-conditioning", "conditioning", {"mode": "references"}, "refers to one image only"),
        ("augmented-conditioning", "conditioning", {"backend": "text-to-image"}, "cannot do conditioning"),
        ("variation", "variation", {"negative": "blurry"}, "reads no text"),
        ("text2img", "text-to-image", {"perp-neg": ["blurry=x"]}, "is not TEXT=WEIGHT"),
        ("text2img", "text-to-image", {"perp-neg": ["blurry"], "guidance": 1}, "needs guidance above 1"),
        ("text2img", "text-to-image", {"negtome": "nowhere.png"}, "there is no image"),
        ("text2img", "text-to-image", {"templates": "nowhere.txt"}, "cannot be read"),
        ("img2img", "image-to-image", {"strength": 0.1, "steps": 5}, "leaves no step"),
        ("img2img", "variation", {}, "is a model for"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_loaded(
    tiny_models, monkeypatch, name, task, options, message
):
    monkeypatch.setattr("augforge.models.backends.open_backend", lambda *a, **k: pytest.fail("a model was loaded"))
    with pytest.raises(AugforgeError, match=message):
        build_stage("generate", name, {"model": tiny_models[task], **options})


def test_a_model_of_classes_makes_those_and_refuses_others_before_it_is_loaded(tmp_path, tmp_path_factory):
    model = str(save_tiny_dit(tmp_path_factory.mktemp("dit") / "m"))
    folder = write_images(tmp_path / "set", {"goldfish": 1, "golden_retriever": 1})
    run(recipe(folder, "text2img", model=model), tmp_path / "out")
    assert Counter(row["label"] for row in made(tmp_path / "out")) == {"goldfish": 2, "golden_retriever": 2}
    assert not any("prompt" in json.loads(row["sampled_params"]) for row in made(tmp_path / "out"))
    write_images(folder, {"cat": 1})
    with pytest.raises(AugforgeError, match="knows no class 'cat'"):
        run(recipe(folder, "text2img", model=model, **{"any-class": True}), tmp_path / "other")


def test_templates_are_chosen_by_the_seed_and_evenly():
    chosen = Counter(choose("x", "usual", "dog", seed) for seed in range(22 * 200))
    assert choose("x", "usual", "dog", 5) == choose("x", "usual", "dog", 5)
    assert len(chosen) == len(set(USUAL)) == 22
    chi_square = sum((count - 200) ** 2 / 200 for count in chosen.values())
    assert chi_square < 46.8  # the 99.9 % point with 21 degrees of freedom


def test_text2img_looks_at_no_image_and_makes_classes_that_have_none(pictures, tmp_path, tiny_models):
    (pictures / "empty").mkdir()
    templates = tmp_path / "t.txt"
    templates.write_text("one {label}\ntwo {label}\n")
    options = {"model": tiny_models["text-to-image"], "templates": str(templates), "per-class": 4}
    run(recipe(pictures, "text2img", **options), tmp_path / "out")
    ledger = made(tmp_path / "out")
    assert Counter(row["label"] for row in ledger) == {"cat": 4, "dog": 4, "lone": 4, "empty": 4}
    assert all(row["parents"] == [] for row in ledger)
    prompts = {json.loads(row["sampled_params"])["prompt"] for row in ledger}
    assert prompts <= {f"{number} {label}" for number in ("one", "two") for label in ("cat", "dog", "lone", "empty")}
    from datasets import load_from_disk

    captions = load_from_disk(str(tmp_path / "out" / "dataset"))["caption"]
    assert set(captions) == prompts | {""}


def test_a_validation_share_is_decided_by_the_id_and_nests(tmp_path, tiny_models):
    folder = write_images(tmp_path / "set", {"cat": 2})
    splits = {}
    for share in (0.0, 0.3, 0.6):
        by = recipe(folder, "text2img", model=tiny_models["text-to-image"], validation=share, **{"per-class": 200})
        from augforge.data.store import Store
        from augforge.engine.ingest import open_sources, read_sources
        from augforge.progress import Progress

        ledger, _ = read_sources(open_sources(by), Store(tmp_path / "store"), Progress())
        jobs = list(plan(by.stages[0], ledger, 3, "1-generate-text2img"))
        splits[share] = {job.sample.sampled_params["variant"] for job in jobs if job.sample.split == "validation"}
    assert splits[0.0] == set() and 35 < len(splits[0.3]) < 85 and 85 < len(splits[0.6]) < 155


def test_perp_neg_and_negtome_change_the_pictures_and_are_recorded(pictures, tmp_path, tiny_models):
    plain = {"model": tiny_models["text-to-image"], "guidance": 4, "batch": 3, "per-class": 3}
    kinds = {
        "plain": {},
        "zero": {"perp-neg": ["blurry=0"]},
        "perp": {"perp-neg": ["blurry=1.5", "dark"]},
        "tome": {"negtome": "batch", "negtome-min-side": 1, "negtome-threshold": -1},
        "file": {"negtome": str(pictures / "cat" / "0000.png"), "negtome-min-side": 1, "negtome-threshold": -1},
    }
    digests = {}
    for name, options in kinds.items():
        run(recipe(pictures, "text2img", **plain, **options), tmp_path / name)
        ledger = sorted(
            made(tmp_path / name), key=lambda row: (row["label"], json.loads(row["sampled_params"])["variant"])
        )
        digests[name] = [row["digest"] for row in ledger]
        generation_config = json.loads(ledger[0]["generation_config"])
        assert all(
            str(generation_config[key]) == str(value) or generation_config[key] == value
            for key, value in options.items()
        )
    assert len({digest for name in ("plain", "perp", "file") for digest in digests[name]}) == 27
    assert digests["tome"] != digests["plain"]


def test_images_that_influence_each_other_record_their_batch_and_are_made_again_together(
    pictures, tmp_path, tiny_models
):
    options = {"model": tiny_models["text-to-image"], "negtome": "batch", "negtome-min-side": 1, "per-class": 3}
    by = recipe(pictures, "text2img", **options)
    run(by, tmp_path / "whole")
    ledger = made(tmp_path / "whole")
    mates = [json.loads(row["sampled_params"])["batch-of"] for row in ledger]
    assert Counter(map(len, mates)) == {2: 6, 1: 3}
    by_class = {}
    for row in ledger:
        by_class.setdefault(tuple(json.loads(row["sampled_params"])["batch-of"]), set()).add(row["label"])
    assert all(len(labels) == 1 for labels in by_class.values())
    run(by, tmp_path / "again")
    assert {r["id"]: r["digest"] for r in made(tmp_path / "again")} == {r["id"]: r["digest"] for r in ledger}


class Overflowing(Backend):
    """A half-precision model of which every second picture is NaN, every third black."""

    def __init__(self, dtype: str) -> None:
        self.facts = {
            "dtype": {"fp32": "float32", "fp16": "float16"}[dtype],
            "model": {"name": "x", "licence": "none", "digest": "0" * 64},
        }

    def generate(self, request):
        pictures = np.random.default_rng(0).random((len(request), 8, 8, 3)).astype(np.float32)
        if self.facts["dtype"] == "float16":
            pictures[1::2] = np.nan
            pictures[2::3] = 0.0
        return pictures


def test_broken_pictures_are_made_once_more_in_full_precision(pictures, tmp_path, tiny_models, monkeypatch):
    opened = []

    def fake(name, model, device, dtype, **options):
        opened.append(dtype)
        return Overflowing(dtype)

    monkeypatch.setattr("augforge.models.backends.open_backend", fake)
    options = {"model": tiny_models["text-to-image"], "dtype": "fp16", "per-class": 4, "batch": 12}
    summary = run(recipe(pictures, "text2img", **options), tmp_path / "out")
    retried = [json.loads(row["sampled_params"]).get("retried-in") for row in made(tmp_path / "out")]
    assert opened == ["fp16", "fp32"]
    assert Counter(retried) == {"float32": 8, None: 4}
    assert summary.reasons == {}


def test_what_stays_broken_is_dropped_with_the_reason(pictures, tmp_path, tiny_models, monkeypatch):
    class Broken(Overflowing):
        def generate(self, request):
            return super().generate(request) * np.nan

    monkeypatch.setattr(
        "augforge.models.backends.open_backend", lambda name, model, device, dtype, **options: Broken(dtype)
    )
    options = {"model": tiny_models["text-to-image"], "dtype": "fp16"}
    summary = run(recipe(pictures, "text2img", **options), tmp_path / "out", allow_empty=True)
    assert summary.reasons == {"1-generate-text2img": {"the model returned NaN or infinite pixels": 6}}
    assert len(made(tmp_path / "out")) == 6


def test_the_batch_is_measured_once_and_stays(tmp_path, tiny_models, monkeypatch):
    folder = write_images(tmp_path / "set", {"cat": 3})
    probes = iter([2, 5])
    monkeypatch.setattr(diffusion.DiffusionGenerator, "default_batch_size", lambda self, device: next(probes))
    for count in (3, 4):
        options = {"model": tiny_models["text-to-image"], "batch": "auto", "per-class": count}
        run(recipe(folder, "text2img", **options), tmp_path / "out")
    assert {json.loads(row["generation_config"])["batch"] for row in made(tmp_path / "out")} == {2}
    assert next(probes) == 5
    run(recipe(folder, "text2img", model=tiny_models["text-to-image"], batch=3, **{"per-class": 6}), tmp_path / "out")
    assert Counter(json.loads(row["generation_config"])["batch"] for row in made(tmp_path / "out")) == {2: 4, 3: 2}


@pytest.mark.parametrize(
    ("first", "each", "free", "batch"),
    [(100, 10, 1000, 64), (100, 10, 200, 4), (100, 10, 10, 1), (100, 10, 10**9, 256), (1000, 1, 1500, 128)],
)
def test_the_largest_batch_fits_four_fifths_of_the_memory(first, each, free, batch):
    def memory_of(size):
        return first + each * (size - 1)

    assert diffusion.largest_batch(memory_of, free) == batch
    assert batch == 1 or memory_of(batch) <= 0.8 * free
    assert batch == 256 or memory_of(2 * batch) > 0.8 * free


def test_coupled_images_need_a_stated_batch(tiny_models):
    with pytest.raises(AugforgeError, match="influence each other"):
        build_stage("generate", "text2img", {"model": tiny_models["text-to-image"], "negtome": "batch"})


def test_an_image_is_embedded_once(tiny_unclip):
    from PIL import Image

    from augforge.models.backends import open_backend

    backend = open_backend("unclip", str(tiny_unclip), "cpu")
    pictures = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "red", "blue")]
    asked = []
    embed = backend.embed

    def counting(images, batch):
        asked.append(len(images))
        return embed(images, batch)

    backend.embed = counting
    once = backend.embed_once(["r", "g", "r", "b"], pictures)
    again = backend.embed_once(["b", "r"], [pictures[3], pictures[0]])
    assert asked == [3]
    assert (once == embed(pictures, 32)).all() and (again == once[[3, 0]]).all()


def test_img2img_through_an_adapter_carries_picture_and_embedding(pictures, tmp_path, adapted):
    run(recipe(pictures, "img2img", strength=0.9, **adapted), tmp_path / "out")
    assert len(made(tmp_path / "out")) == 6 and all(row["kept"] for row in made(tmp_path / "out"))
