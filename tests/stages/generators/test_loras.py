"""The LoRAs of a stage: which of them for which image, what its results depend on, and what it may not see."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.engine.jobs import stage_key
from augforge.engine.plan import plan_run
from augforge.engine.run import run
from augforge.errors import AugforgeError, RecipeError
from augforge.models import trained_models
from augforge.models.table import Model
from augforge.recipe import build_stage, parse_recipe
from augforge.reproduce.remake import Archive, remake
from tests.conftest import write_images
from tests.models.test_loras import as_trained
from tests.saved import saved
from tests.test_laws import rows

SAMPLES = [Sample(f"s{n}", "cat", digest=f"{n}" * 64) for n in range(6)]


def recipe(source: Path, model: str, lora: str = "", generate: str = "", more: str = ""):
    return parse_recipe(f"""
name: few
seed: 1
source: {{folder: {source}}}
stages:
  - {{train: lora, as: mine, model: {model}, steps: 3, size: 32, rank: 2, batch: 2, rate: 0.1{lora}}}
  - {{generate: augmented-conditioning, model: {model}, lora: mine, per-class: 2, steps: 2{generate}}}
{more}""")


def made(out: Path) -> dict[str, dict]:
    return {i: row for i, row in rows(out).items() if row["origin"] == "synthetic"}


@pytest.fixture
def loras(tmp_path):
    """Makes a stage with a LoRA of so many images or classes, as a training of ours leaves it (its weights unread)."""

    def stage(per: str, *of: str, **options):
        folder = tmp_path / "-".join([per, *of])[:40]
        names = {f"lora-{n:03d}": name for n, name in enumerate(of)}
        for name in names:
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / "pytorch_lora_weights.safetensors").write_bytes(b"not looked at")
        as_trained(folder, per, names)
        return str(folder), build_stage("generate", "text2img", {"model": "builtin-sd", "lora": str(folder), **options})

    return stage


def test_an_image_has_the_lora_of_its_class(loras):
    folder, stage = loras("class", "cat", "dog")
    assert stage.also_drawn("cat", [], Pool(SAMPLES), 1) == {"loras": {folder: {"cat": 1.0}}}
    assert stage.also_drawn("bird", [], Pool(SAMPLES), 1) == {"loras": {folder: {}}}


def test_two_loras_of_images_are_fused_and_no_other_image_has_a_part(loras):
    known = [sample.digest[:20] for sample in SAMPLES[:4]]
    folder, stage = loras("image", *known)
    pool, parent = Pool(SAMPLES), SAMPLES[2]
    shares, partners = [], set()
    for seed in range(200):
        (fused,) = stage.also_drawn("cat", [parent], pool, seed)["loras"].values()
        assert next(iter(fused)) == parent.digest[:20] and len(fused) == 2 and set(fused) <= set(known)
        assert sum(fused.values()) == pytest.approx(1)
        shares.append(fused[parent.digest[:20]])
        partners |= set(list(fused)[1:])
        assert fused == stage.also_drawn("cat", [parent], pool, seed)["loras"][folder]
    assert partners == set(known) - {parent.digest[:20]}
    assert sum(shares) / 200 == pytest.approx(0.5, abs=0.07) and min(shares) < 0.05 and max(shares) > 0.95
    few = Pool(SAMPLES, shots=2)
    seen = {name for seed in range(50) for name in stage.also_drawn("cat", [], few, seed)["loras"][folder]}
    assert seen <= {sample.digest[:20] for sample in few.samples}, "not beyond the shots"
    _, fixed = loras("image", *known, **{"lora-fusion": 0.25})
    assert list(fixed.also_drawn("cat", [parent], pool, 1)["loras"][folder].values()) == [0.25, 0.75]
    _, alone = loras("image", known[0])
    assert list(alone.also_drawn("cat", [], pool, 1)["loras"].values()) == [{known[0]: 1.0}]


def test_a_stage_without_loras_is_what_it_was():
    stage = build_stage("generate", "text2img", {"model": "builtin-sd"})
    for options in (stage.measured_options(), stage.options()):
        assert not {"lora", "lora-scale", "lora-fusion"} & set(options)
    assert stage.also_drawn("zero", [], Pool(SAMPLES), 1) == {}
    assert stage.models() == [("builtin-sd", "text-to-image")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lora": ["a.safetensors", "b.safetensors"], "lora-scale": [1, 2, 3]}, "3 numbers for 2 LoRAs"),
        ({"lora": ["a.safetensors", "a.safetensors"]}, "named twice"),
        ({"lora": "nothing-of-the-kind"}, "there is no model called"),
        ({"lora": "builtin-clip"}, "not for lora"),
        ({"lora": "a.safetensors", "lora-fusion": 2}, "at most 1"),
    ],
)
def test_what_does_not_go_is_refused(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        Path(f"{name}.safetensors").write_bytes(b"x")
    with pytest.raises(AugforgeError, match=message):
        build_stage("generate", "text2img", {"model": "builtin-sd", **options})


def test_a_model_of_more_shots_is_refused_and_of_as_many_is_not(pictures, tiny_unclip):
    with pytest.raises(RecipeError, match="its model 'mine' learns from more than 2 shots"):
        recipe(pictures, tiny_unclip, generate=", shots: 2")
    recipe(pictures, tiny_unclip, ", shots: 2", ", shots: 2")


def test_a_run_trains_its_lora_once_and_every_image_says_which(tmp_path, tiny_unclip):
    out, source = tmp_path / "out", write_images(tmp_path / "pictures", {"cat": 2, "dog": 2})
    plan = plan_run(recipe(source, tiny_unclip), out)
    assert plan[1].todo == 3 and plan[2].todo == 4
    first = run(recipe(source, tiny_unclip), out)
    (folder,) = (out / "models").iterdir()
    identity = json.loads((folder / "model.json").read_text())["identity"]
    images = made(out)
    (fact,) = {json.dumps(json.loads(row["generation_config"])["loras"]) for row in images.values()}
    assert json.loads(fact) == [
        {"name": "mine", "revision": None, "digest": identity, "licence": "follows from its training images",
         "scale": 1.0, "per": "set"}
    ]  # fmt: skip
    assert len(images) == 4 and first.computed > 0
    assert run(recipe(source, tiny_unclip), out).computed == 0
    archive = Archive(out)
    synthetic = [sample for sample in archive.ledger.samples(np.arange(len(archive.ledger))) if sample.id in images]
    again = list(remake(archive, synthetic, "cpu"))
    assert len(again) == 4 and all(one.equal for one in again), "the LoRA of the run is found again"


def test_what_an_image_depends_on():
    def fingerprint(identity: str, name: str = "mine", **options):
        row = Model(name, ("lora",), "/nowhere/at/all", "", "", identity=identity)
        with trained_models({name: row}):
            options = {"model": "builtin-sd", **({"lora": name} if identity else {}), **options}
            return stage_key(build_stage("generate", "text2img", options, {name: "lora"}), 1)

    with_it = fingerprint("abc")
    assert fingerprint("abc", "other") == with_it, "what it is called does not matter"
    others = [fingerprint("abd"), fingerprint(""), fingerprint("abc", **{"lora-scale": 0.5})]
    assert len({with_it, *others}) == 4


@pytest.mark.parametrize("per", ["class", "image"])
def test_batches_and_kills_change_no_image(tmp_path, tiny_unclip, per):
    source = write_images(tmp_path / "pictures", {"cat": 2, "dog": 2})
    pixels = {}
    for name, batch in (("four", 4), ("three", 2)):
        run(recipe(source, tiny_unclip, f", per: {per}", f", batch: {batch}"), tmp_path / name)
        pixels[name] = {row["id"]: row["image"].convert("RGB").tobytes() for row in saved(tmp_path / name)}
    assert pixels["four"].keys() == pixels["three"].keys()
    drawn = [json.loads(row["sampled_params"])["loras"]["mine"] for row in made(tmp_path / "four").values()]
    if per == "class":
        assert {tuple(each) for each in drawn} == {("cat",), ("dog",)}
    else:
        ledger = rows(tmp_path / "four")
        for row in made(tmp_path / "four").values():
            fused = json.loads(row["sampled_params"])["loras"]["mine"]
            digests = {
                r["digest"][:20] for r in ledger.values() if r["label"] == row["label"] and r["origin"] == "real"
            }
            assert set(fused) <= digests and ledger[row["parents"][0]]["digest"][:20] in fused


def test_a_lora_that_is_still_to_be_trained_is_of_nothing_yet():
    with trained_models({"mine": Model("mine", ("lora",), "/nowhere/at/all", "", "", identity="abc")}):
        stage = build_stage("generate", "text2img", {"model": "builtin-sd", "lora": "mine"}, {"mine": "lora"})
        assert stage.also_drawn("zero", [], Pool(SAMPLES), 1) == {}
