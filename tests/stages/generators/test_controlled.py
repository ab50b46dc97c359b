"""Controlled: images follow the layout of their own parents, and keep what is known of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from datasets import load_from_disk
from PIL import Image

from augforge.algorithms import control
from augforge.algorithms.outpainting import stretched
from augforge.algorithms.shifts.base import grey_of
from augforge.algorithms.shifts.edges import edges_of
from augforge.data.images import digest
from augforge.engine.run import run
from augforge.errors import AugforgeError, RecipeError
from augforge.models.backends import Request, open_backend
from augforge.models.edges import edge_overlap
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.reproduce.remake import Archive, remake
from augforge.stages.generators import controlled
from tests.conftest import write_images
from tests.stages.generators.test_weather import depth_of, with_depth
from tests.test_laws import rows

SIZE = (48, 40)
"""Width and height in px of the pictures; the model makes 32 px."""


def shapes(folder: Path) -> SourceSpec:
    """Five pictures of a bright square at its own place each, as COCO with boxes, masks and depths."""
    (folder / "images").mkdir(parents=True)
    images, boxes = [], []
    for number in range(5):
        left, top = 4 + 4 * number, 6 + 3 * number
        pixels = np.random.default_rng(number).integers(0, 80, (SIZE[1], SIZE[0], 3), np.uint8)
        pixels[top : top + 14, left : left + 12] += 150
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": SIZE[0], "height": SIZE[1]})
        boxes.append({"id": number, "image_id": number, "category_id": 1, "bbox": [left, top, 12, 14], "iscrowd": 0})
    notes = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "square"}]}
    (folder / "instances.json").write_text(json.dumps(notes))
    return SourceSpec("coco", str(folder))


def masked(folder: Path) -> SourceSpec:
    """Pictures of one class with a mask each."""
    source = write_images(folder, {"cat": 4}, size=40)
    (folder / "masks").mkdir()
    for number, path in enumerate(sorted((source / "cat").glob("*.png"))):
        mask = np.zeros((40, 40), np.uint8)
        mask[4 : 12 + 4 * number, 8:24] = 3
        Image.fromarray(mask).save(folder / "masks" / path.name)
    return SourceSpec("folder", str(source / "cat"), {"masks": str(folder / "masks"), "class": "cat"})


@pytest.fixture(scope="module")
def build(tiny_models):
    """Builds the stage on tiny models."""

    def built(**options):
        small = {"model": tiny_models["controlled"], "controlnet": tiny_models["control"], "steps": 2, "batch": 4}
        return build_stage("generate", "controlled", {**small, "per-class": 6, "any-class": True, **options})

    return built


def finished(stage, source, out):
    run(Recipe("x", 1, (source,), (stage,)), out, device="cpu", allow_empty=True)
    data = {row["id"]: row for row in load_from_disk(str(out / "dataset"))}
    return rows(out), data


def config_text(ledger):
    return next(row["generation_config"] for row in ledger.values() if row["parents"])


def pairs(ledger, data):
    for row in ledger.values():
        if row["origin"] == "synthetic" and row["kept"]:
            yield data[row["id"]], data[row["parents"][0]], json.loads(row["sampled_params"])


def test_boxes_stay_and_control(build, tmp_path):
    ledger, data = finished(
        build(control="boxes", colours=["square=#0a0b0c"]), shapes(tmp_path / "set"), tmp_path / "out"
    )
    met = set()
    for child, parent, facts in pairs(ledger, data):
        assert child["boxes"] == parent["boxes"]
        assert child["image"].size == SIZE
        box = {"box": parent["boxes"][0]["box"], "label": "square"}
        drawn = control.draw_boxes([box], SIZE[::-1], {"square": (10, 11, 12)})
        assert facts["control-digest"] == digest(drawn.tobytes())
        assert facts["control-from"] == "annotations"
        met.add(facts["control-digest"])
    assert len(met) == 5, "each image by the boxes of its own parent"


def test_masks_stay_to_the_bit_and_control(build, tmp_path):
    ledger, data = finished(build(control="mask"), masked(tmp_path / "set"), tmp_path / "out")
    met = list(pairs(ledger, data))
    assert len(met) == 6
    for child, parent, facts in met:
        assert (np.asarray(child["mask"]) == np.asarray(parent["mask"])).all()
        drawn = control.draw_mask(np.asarray(parent["mask"]), {})
        assert facts["control-digest"] == digest(drawn.tobytes())
        assert (np.asarray(child["image"]) != np.asarray(parent["image"].convert("RGB"))).any()


def test_edges_are_cannys_of_the_own_parent(build, tmp_path):
    ledger, data = finished(build(control="edges", **{"edge-sigma": 2}), shapes(tmp_path / "set"), tmp_path / "out")
    for child, parent, facts in pairs(ledger, data):
        edges = edges_of(grey_of(np.asarray(parent["image"].convert("RGB"))), 2, "otsu")
        assert edges.any()
        assert facts["control-digest"] == digest(control.draw_edges(edges).tobytes())
        assert child["boxes"] == parent["boxes"]


def test_models_may_see_edges_and_depths(build, tmp_path, tiny_models):
    source = shapes(tmp_path / "set")
    for kind, option, task in (
        ("edges", "edge-model", "edges"),
        ("depth", "depth-model", "depth-estimation"),
    ):
        stage = build(control=kind, **{option: tiny_models[task]})
        ledger, data = finished(stage, source, tmp_path / kind)
        found = [facts for _, _, facts in pairs(ledger, data)]
        assert {facts["control-from"] for facts in found} == {"model"}
        assert len({facts["control-digest"] for facts in found}) == 5
        assert option in json.loads(config_text(ledger))


def test_a_depth_picture_comes_before_what_a_model_sees(build, tmp_path, tiny_models):
    depths = [depth_of(number) for number in range(3)]
    source = SourceSpec("imagefolder", str(with_depth(tmp_path / "set", [*depths, None])))
    stage = build(control="depth", **{"depth-model": tiny_models["depth-estimation"], "per-class": 8})
    ledger, data = finished(stage, source, tmp_path / "out")
    met = list(pairs(ledger, data))
    assert {facts["control-from"] for _, _, facts in met} == {"picture", "model"}
    for child, parent, facts in met:
        assert child["boxes"] == parent["boxes"]
        if facts["control-from"] == "picture":
            assert facts["control-digest"] == digest(control.draw_depth(np.asarray(parent["depth"])).tobytes())
            assert (np.asarray(child["depth"]) == np.asarray(parent["depth"])).all()


def test_an_image_without_what_controls_it_is_dropped_and_says_so(build, tmp_path):
    for kind, said in (("depth", "no depth, and no depth-model is named"), ("mask", "its parent has no mask")):
        ledger, _ = finished(build(control=kind), shapes(tmp_path / f"set-{kind}"), tmp_path / kind)
        dropped = [row["dropped"] for row in ledger.values() if row["dropped"]]
        assert len(dropped) == 6
        assert all(said in why for why in dropped)


def direct(backend, ledger, child, **given):
    """The picture that a back-end makes of the seed and prompt of an image, in its size; uint8."""
    row = ledger[child["id"]]
    prompt = json.loads(row["sampled_params"])["prompt"]
    request = Request(prompts=[prompt], negatives=[""], seeds=[row["seed"]], guidance=7.5, **given)
    return np.round(stretched(backend.generate(request)[0], SIZE[::-1]) * 255).astype(int)


def test_scale_0_is_the_picture_of_the_model_alone(build, tmp_path, tiny_models):
    stage = build(control="boxes", **{"conditioning-scale": 0})
    ledger, data = finished(stage, shapes(tmp_path / "set"), tmp_path / "out")
    alone = open_backend("text-to-image", tiny_models["controlled"], "cpu")
    for child, _, _ in pairs(ledger, data):
        assert np.abs(direct(alone, ledger, child, steps=2) - np.asarray(child["image"])).max() <= 1


def test_strength_starts_from_the_parent(build, tmp_path, tiny_models):
    """The same as asking the pipeline for it; from another parent it is another picture."""
    stage = build(control="boxes", strength=0.5, steps=4)
    ledger, data = finished(stage, shapes(tmp_path / "set"), tmp_path / "out")
    backend = open_backend("controlnet", tiny_models["controlled"], "cpu", control=tiny_models["control"])
    for child, parent, _ in pairs(ledger, data):
        box = {"box": parent["boxes"][0]["box"], "label": "square"}
        controls = [Image.fromarray(control.draw_boxes([box], SIZE[::-1], {}))]
        given = {"steps": 4, "strength": 0.5, "controls": controls}
        made, image = np.asarray(child["image"]), parent["image"].convert("RGB")
        assert np.abs(direct(backend, ledger, child, images=[image], **given) - made).max() <= 1
        assert np.abs(direct(backend, ledger, child, images=[image.rotate(90)], **given) - made).max() > 1


def test_the_controls_of_a_batch_in_another_order_would_be_noticed(build, tmp_path, monkeypatch):
    """The known wrong way: each image by the layout of its neighbour."""
    source = shapes(tmp_path / "set")

    def made(out):
        ledger, data = finished(build(control="boxes", batch=5, **{"per-class": 5}), source, out)
        return {child["id"]: np.asarray(child["image"]) for child, _, _ in pairs(ledger, data)}

    right = made(tmp_path / "right")
    condition = controlled.Controlled.condition

    def shuffled(self, batch, backend):
        given = dict(condition(self, batch, backend))
        return {**given, "controls": [*given["controls"][1:], given["controls"][0]]}

    monkeypatch.setattr(controlled.Controlled, "condition", shuffled)
    wrong = made(tmp_path / "wrong")
    assert all((right[name] != wrong[name]).any() for name in right)


def test_the_row_says_how_far_the_edges_agree(build, tmp_path):
    """Those of the parent and of the image as it lies in the dataset; the parent of another image agrees less."""
    source = shapes(tmp_path / "set")
    stage = build(control="edges", strength=0.5, steps=4)
    ledger, data = finished(stage, source, tmp_path / "out")
    kept = []
    for child, parent, facts in pairs(ledger, data):
        image, before = (np.asarray(row["image"].convert("RGB")) for row in (child, parent))
        assert facts["edges-kept"] == pytest.approx(edge_overlap(before, image, 2), abs=0.02)
        kept.append(facts["edges-kept"])
    bound = sorted(kept)[len(kept) // 2]
    strict, _ = finished(stage.model_copy(update={"min_edges_kept": bound}), source, tmp_path / "strict")
    made = [row for row in strict.values() if row["origin"] == "synthetic"]
    for row in made:  # another option, other seeds
        said = f"is below {bound:g}" in (row["dropped"] or "")
        agreement = float(row["dropped"].split()[1]) if said else json.loads(row["sampled_params"])["edges-kept"]
        assert row["kept"] != said and said == (agreement < bound)
    assert len(made) == 6
    all_gone, _ = finished(stage.model_copy(update={"min_edges_kept": 1.0}), source, tmp_path / "all")
    assert sum("is below 1" in (row["dropped"] or "") for row in all_gone.values()) == 6


def test_an_image_can_be_made_again_from_its_row(build, tmp_path):
    finished(build(control="mask"), masked(tmp_path / "set"), tmp_path / "out")
    archive = Archive(tmp_path / "out")
    samples = list(archive.ledger.samples(archive.ledger.visible("synthetic")))
    again = list(remake(archive, samples[:2], "cpu"))
    assert all(one.apart <= 1 and list(one.pictures) == ["mask"] and one.same_pictures for one in again)


def test_a_t2i_adapter_is_known_by_its_directory(build, tmp_path, tiny_models):
    from tests.tiny_controls import save_tiny_t2i_adapter

    net = save_tiny_t2i_adapter(tmp_path / "adapter", Path(tiny_models["controlled"]))
    stage = build(control="edges", controlnet=str(net))
    assert stage.backend_name == "t2i-adapter"
    ledger, data = finished(stage, shapes(tmp_path / "set"), tmp_path / "out")
    assert len(list(pairs(ledger, data))) == 6


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"control": "sketch"}, "control"),
        ({"control": "edges", "control-start": 0.5, "control-end": 0.5}, "no step would be controlled"),
        ({"control": "edges", "colours": ["red"]}, "NAME=#rrggbb"),
        ({}, "control"),
    ],
)
def test_options_that_contradict(build, options, said):
    with pytest.raises(RecipeError, match=said):
        build(**options)


def test_options_that_do_not_fit_the_models(build, tmp_path, tiny_models):
    with pytest.raises(RecipeError, match="leaves no step"):
        build(control="edges", strength=0.3).check()
    with pytest.raises(AugforgeError, match="control"):
        build(control="edges", controlnet=tiny_models["controlled"]).check()


@pytest.mark.parametrize(
    ("model", "net", "options", "said"),
    [
        ("z-image-turbo", "hub:a/controlnet", {"control-end": 0.5}, "of ZImage acts at every step"),
        ("z-image-turbo", "hub:a/controlnet", {"strength": 0.8}, "starts from noise alone"),
        ("sd35-medium", "hub:a/controlnet", {"strength": 0.8}, "of StableDiffusion3 starts from noise"),
        ("qwen-image", "hub:a/controlnet", {"strength": 0.8}, "of QwenImage starts from noise"),
        ("sdxl", "hub:a/adapter", {"backend": "t2i-adapter", "strength": 0.8}, "T2I-Adapter starts from noise alone"),
        ("sdxl", "hub:a/adapter", {"backend": "t2i-adapter", "control-start": 0.2}, "from the first step"),
        (
            "sd15",
            "hub:a/adapter",
            {"backend": "t2i-adapter", "control-end": 0.8},
            "of StableDiffusion acts to the last",
        ),
    ],
)
def test_what_the_network_cannot_be_asked_for_is_refused_before_anything_is_loaded(model, net, options, said):
    given = {"model": model, "controlnet": net, "control": "edges", "per-class": 1}
    with pytest.raises(RecipeError, match=said):
        build_stage("generate", "controlled", {**given, **options}).check()
    build_stage("generate", "controlled", {**given, "backend": options.get("backend", "auto")}).check()


def test_what_can_be_asked_for_is_not_refused():
    given = {"controlnet": "hub:a/b", "control": "edges", "per-class": 1}
    for model in ("sd15", "sdxl", "flux-dev", "hub:a/unknown"):
        more = {"control-start": 0.1, "control-end": 0.9, "strength": 0.8}
        build_stage("generate", "controlled", {**given, **more, "model": model}).check()
    for model in ("sdxl", "hub:a/unknown"):
        build_stage(
            "generate", "controlled", {**given, "model": model, "backend": "t2i-adapter", "control-end": 0.5}
        ).check()


def test_the_rules_are_those_of_the_pipelines_of_diffusers():
    import inspect

    from diffusers.pipelines import auto_pipeline

    from augforge.models.backends import controlnet, t2i_adapter
    from augforge.models.backends.control_rules import ADAPTED_TO_AN_END, AT_EVERY_STEP, FAMILIES, FROM_IMAGE

    def takes(found: type) -> set[str]:
        return set(inspect.signature(found.__call__).parameters)

    texts = auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING
    starts = {
        found.__name__.replace("Img2Img", "") for found in auto_pipeline.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING.values()
    }
    assert {f"{family}Pipeline" for family in FAMILIES} == set(controlnet.FAMILIES)
    for name, found in texts.items():
        family = found.__name__.removesuffix("ControlNetPipeline")
        if family in FAMILIES and "controlnet" in name and "pag" not in name:
            assert (found.__name__ in starts) == (family in FROM_IMAGE), family
            assert ("control_guidance_end" in takes(found)) == (family not in AT_EVERY_STEP), family
    import diffusers

    for base, adapted in t2i_adapter.FAMILIES.items():
        ends = "adapter_conditioning_factor" in takes(getattr(diffusers, adapted))
        assert ends == (base.removesuffix("Pipeline") in ADAPTED_TO_AN_END)
