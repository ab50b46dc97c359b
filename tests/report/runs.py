"""A run folder as a real run leaves it, with texts and images that must not get out of a report."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from augforge.data import images
from augforge.data.files import seal
from augforge.data.ids import key
from augforge.data.ledger import Ledger
from augforge.data.record import FORMAT, ledger_digest
from augforge.data.sample import Sample
from augforge.data.store import Store
from augforge.engine.context import RunContext
from augforge.engine.embedding import Embedders, stored_vectors, vectors_key
from augforge.engine.finish import write_ledger, write_result
from augforge.engine.pixels import Pixels
from augforge.engine.runners.generated import GENERATED
from augforge.io import open_source
from augforge.progress import Progress
from augforge.recipe import parse_recipe

EVIL = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "'\"&amp;\u2028{{ 7 * 7 }}<!--",
    "plain",
)
CONDITIONING, FILTER, SAFETY, SELECTOR = (
    "1-generate-augmented-conditioning",
    "2-filter-clip",
    "3-filter-safety",
    "4-select-facility-location",
)
RECIPE = """
name: {name}
seed: 3
source: {{folder: {folder}}}
stages:
  - generate: augmented-conditioning
    model: builtin-unclip
  - filter: clip
    model: builtin-clip
    min: 0.25
  - filter: safety
    on: synthetic
    model: builtin-clip
    any-class: true
  - select: facility-location
    model: builtin-clip
    share: 0.75
"""
FLAGGED = (255, 0, 255)
"""The colour of the pictures that a safety filter flagged, or may not have seen: it must be nowhere in a report."""
FILTERED = (0, 255, 0)
MAKER = {"generator": "augmented-conditioning", "model": {"name": "tiny", "digest": "0" * 64, "licence": "none"}}


def png(colour: tuple[int, ...], number: int, size: int = 40) -> bytes:
    """A picture of one colour, whose bytes are told apart by its size."""
    return images.encode_png(Image.new("RGB", (size + number % 7, size + number // 7), colour))


def mask(size: tuple[int, int]) -> bytes:
    """A label map: 0 above, 1 below."""
    labels = np.zeros(size[::-1], dtype=np.uint8)
    labels[size[1] // 2 :] = 1
    return images.encode_mask(labels)


def make_run(folder: Path, per_class: int = 3, name: str = '"<b>run</b>"') -> Path:
    """A finished run of four classes: of each, so many real and so many synthetic images of every fate.

    The first synthetic image of a class is flagged; the second was dropped before the safety filter saw it, and is
    not shown either; then there are two that it passed, of which the selector left one out.
    """
    source = folder / "pictures"
    recipe = parse_recipe(RECIPE.format(name=name, folder=source))
    store = Store(folder / "run")
    ledger, rows = _ledger(source, per_class)
    parts = store.parts("generate-x-1", GENERATED)
    with parts.writing() as writer:
        writer.add(rows)
    pixels = Pixels([open_source("folder", str(source))], recipe.sources)
    pixels.generated["generate-x-1"] = parts
    _vectors(store, ledger.column("digest"))
    embedders = Embedders(store, pixels, "cpu", Progress())
    write_result(recipe, RunContext(ledger, embedders, certificates={SELECTOR: CERTIFICATE}))
    (store.folder / "run.json").write_bytes(seal({"format": FORMAT, "key": "x", "summary": {}}))
    evaluated = {**evaluation(EVIL), "samples-sha256": ledger_digest(store.folder)}
    (store.folder / "evaluation.json").write_text(json.dumps(evaluated))
    return store.folder


def _ledger(source: Path, per_class: int) -> tuple[Ledger, list[dict[str, Any]]]:
    made: list[dict[str, Any]] = []
    samples: list[Sample] = []
    for number, label in enumerate(EVIL):
        real = [_real(source, number, label, place) for place in range(per_class)]
        samples += real
        samples.append(
            replace(_real(source, number, label, per_class), kept=False, **_went(FILTER, "clip-prompt: under 0.25"))
        )
        for place in range(4):
            data = png([FLAGGED, FLAGGED, (200, 200, 40), (90, 160, 200)][place], 10 * number + place)
            digest = images.digest(data)
            labels = mask(Image.open(io.BytesIO(data)).size)
            sample = Sample(
                id=key("synthetic", label, place),
                label=label,
                origin="synthetic",
                parents=(real[0].id, real[1].id),
                stage=CONDITIONING,
                seed=2**62 + place,
                digest=digest,
                width=40,
                height=40,
                ref="generated:generate-x-1",
                pictures={"mask": images.digest(labels)},
                sampled_params={"prompt": f"a photo of {label}", "lam": 0.1 * place},
                generation_config=json.dumps(MAKER),
                **_synthetic_fate(place),
            )
            samples.append(sample)
            made.append(
                {
                    **dict.fromkeys(GENERATED.names),
                    "id": sample.id,
                    "image": data,
                    "companions": [("mask", labels)],
                    "digest": digest,
                }
            )
    ledger = Ledger(EVIL)
    ledger.extend(samples)
    return ledger, made


def _synthetic_fate(place: int) -> dict[str, Any]:
    return (
        {
            "kept": False,
            **_went(SAFETY, "safety: flagged (a hate symbol)"),
            "scores": {"clip-prompt": 0.5, "safety": -0.2},
        },
        {"kept": False, **_went(FILTER, "clip-prompt: under 0.25"), "scores": {"clip-prompt": 0.1}},
        {"kept": False, **_went(SELECTOR, "not chosen"), "scores": {"clip-prompt": 0.4, "safety": 0.3}},
        {"kept": True, "weight": 1.25, "scores": {"clip-prompt": 0.6, "safety": 0.4}},
    )[place]


def _went(by: str, reason: str) -> dict[str, str]:
    return {"dropped_by": by, "dropped": reason}


def _real(source: Path, number: int, label: str, place: int) -> Sample:
    colour = FILTERED if place == 3 else (20 + 60 * number, 90, 30 * place)
    file = source / f"c{number}" / f"<i>{place}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    data = png(colour, place + 20)
    file.write_bytes(data)
    locator = f"c{number}/<i>{place}.png"
    return Sample(
        id=key("real", label, place),
        label=label,
        source=f"folder {source}: {locator}",
        split="train",
        digest=images.digest(data),
        width=40,
        height=40,
        ref=f"0:{locator}",
        scores={"clip-prompt": 0.2 + 0.1 * place},
    )


def _vectors(store: Store, digests: list[str]) -> None:
    random = np.random.default_rng(0)
    stored = stored_vectors("builtin-clip", "image-embedding", store)
    with stored.writing() as writer:
        distinct = list(dict.fromkeys(digests))
        writer.add([{"digest": d, "vector": random.normal(size=8).astype(np.float32)} for d in distinct])
    prompts = [hashlib.sha256(f"a photo of a {label}".encode()).hexdigest() for label in EVIL]
    with store.vectors(f"{vectors_key('builtin-clip')}-text").writing() as writer:
        writer.add(
            [{"digest": d, "vector": row} for d, row in zip(prompts, np.eye(4, 8, dtype=np.float32), strict=True)]
        )


CERTIFICATE = {
    "objective": 9.0,
    "random": 7.0,
    "k-center": None,
    "upper-bound": 10.0,
    "confidence": 1.0,
    "gap": 0.1,
    "curve": {"budget": [1, 2, 4], "chosen": [4.0, 7.0, 9.0], "random": [3.0, 5.0, 7.0], "k-center": None},
    "rows": 8,
    "of": 8,
    "notes": [],
}


def evaluation(classes: tuple[str, ...]) -> dict[str, Any]:
    """What `augforge evaluate` writes."""

    def score(mean: float) -> dict[str, Any]:
        return {"mean": mean, "low": mean - 0.02, "high": mean + 0.02, "seeds": [mean - 0.01, mean + 0.01]}

    def arm(name: str, mean: float, difference: dict[str, Any] | None) -> dict[str, Any]:
        per_class = {label: score(mean) for label in classes}
        scores = {"accuracy": score(mean), "macro-f1": score(mean - 0.05), "per-class": per_class}
        return {"name": name, "images": 12, **scores, "difference": difference}

    better = {"mean": 0.06, "low": 0.02, "high": 0.1, "verdict": "better"}
    noise = {"mean": 0.01, "low": -0.03, "high": 0.05, "verdict": "within noise"}
    one = {
        "classes": list(classes),
        "counts": {label: place + 1 for place, label in enumerate(classes)},
        "arms": [arm("real", 0.7, None), arm("real+kept", 0.71, noise), arm("real+selected", 0.76, better)],
        "metrics": {"fid": 12.5, "vendi": None, "kid": {"real+kept": 0.25}},
        "shifts": {"blur": {"real": 0.5, "real+kept": 0.52, "real+selected": 0.6}},
    }
    few = {**one, "shots": 1, "arms": [arm("real", 0.4, None)]}
    few["arms"][0]["accuracy"] |= {"low": None, "high": None, "seeds": [0.4]}
    runs = [few, {**one, "shots": 2}, {**one, "imbalance": 100}]
    return {"format": 1, "test": "folder <test>", "learner": "probe", "seeds": 2, **runs[-1], "runs": runs}


def magenta_is_unsafe(image: Image.Image) -> float:
    """A checker for `filter: safety`: the risk of the colour FLAGGED."""
    return float(image.getpixel((1, 1)) == FLAGGED)


def pictures_in(html: str) -> list[Image.Image]:
    """Every WebP picture that a report holds, wherever it stands."""
    found = re.findall(r"UklGR[A-Za-z0-9+/]+=*", html)
    return [Image.open(io.BytesIO(base64.b64decode(text))).convert("RGBA") for text in found]


def many_samples(folder: Path, count: int) -> Path:
    """The ledger of a run of `count` samples, two fifths of them real, whose images are gone."""
    random = np.random.default_rng(0)
    labels = [f"class {number:02d}" for number in range(50)]
    real = [key("real", place) for place in range(2 * count // 5)]
    ledger = Ledger(labels)
    ledger.extend(_one_of_many(place, real, labels, random) for place in range(count))
    folder.mkdir(parents=True)
    write_ledger(ledger, folder / "samples.parquet")
    (folder / "recipe.yaml").write_text("name: many\nsource: {folder: gone}\nstages: []\n")
    return folder


def _one_of_many(place: int, real: list[str], labels: list[str], random: np.random.Generator) -> Sample:
    label, score = labels[min(49, int(random.exponential(12)))], float(random.normal(0.3, 0.05))
    if place < len(real):
        return Sample(
            real[place], label, source=f"folder photos: {label}/{place}.jpg", digest=f"{place:064x}", ref="0:x"
        )
    outcome = {} if score > 0.27 else {"kept": False, **_went(FILTER, "clip-prompt: under 0.27")}
    return Sample(
        id=key("synthetic", place),
        label=label,
        origin="synthetic",
        parents=tuple(real[number] for number in random.integers(0, len(real), 2)),
        stage=CONDITIONING,
        seed=int(random.integers(2**62)),
        digest=f"{place:064x}",
        ref="generated:x",
        sampled_params={"prompt": f"a photo of {label}, {place}", "lam": float(random.random())},
        generation_config=json.dumps(MAKER),
        scores={"clip-prompt": score},
        **outcome,
    )
