"""How fast `generate` is: augforge from files to committed Arrow parts, against the loops that people write.

    python benchmarks/generate.py                          the built-in model on the CPU: about 3 minutes on two cores
    python benchmarks/generate.py --device cuda            unCLIP and SDXL of their real sizes with random weights

Side by side in one run, on the same images, steps and guidance, warmed up, the best of `--rounds`:

    a  one image per call, full precision (the loop of the published scripts)
    b  one image per call, half precision (bf16 on the CPU)
    c  the bare pipeline at the same batch, tensors already there, nothing written
    ours  `augforge generate`: decode the sources, mix, encode, denoise, check, encode PNG, commit

GiB are the peak of the device's memory: the way's own weights and all that is made on the way. The peak speed is what
a large matrix product reaches on the same device in the same precision, unless `--peak-tflops` says another.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from device_speed import on_device, peak_flops, weights_of
from figures import Figures
from PIL import Image
from real_size import MODELS

from augforge.engine.run import run
from augforge.models import find_model
from augforge.models.devices import quiet
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec
from augforge.stages.generator import LoadedGenerator
from augforge.stages.generators.augmented_conditioning import AugmentedConditioning
from augforge.stages.generators.text2img import Text2Img

LOOP_BAR, BARE_BAR = 4.0, 0.95
GUIDANCE = 2.5


@dataclass(frozen=True)
class Load:
    """How much is made: images in all and at once, images of the loops, denoising steps."""

    images: int
    batch: int
    loop: int
    steps: int


LOADS = {"builtin-unclip": Load(256, 32, 16, 12), "unclip": Load(48, 16, 6, 12), "sdxl": Load(16, 8, 3, 12)}
TOY = Load(2, 2, 1, 2)


def main() -> None:
    """Compare for each model, and print a table each."""
    given = _parser().parse_args()
    figures, started = Figures(given.json), time.monotonic()
    models = [given.model] if given.model else given.models
    models = models or (["builtin-unclip"] if given.device == "cpu" else ["unclip", "sdxl"])
    for place, name in enumerate(models, 1):
        until = started + given.seconds * place / len(models)
        with tempfile.TemporaryDirectory() as folder:
            made = str(MODELS[name](Path(folder) / "model", given.device, given.smoke)) if name in MODELS else name
            Comparison(name, made, Path(folder), load_of(name, given), given).measure(figures, until)


def load_of(name: str, given: argparse.Namespace) -> Load:
    """The model's own load, or what the command line asks for."""
    usual = TOY if given.smoke else LOADS.get(name, LOADS["builtin-unclip"])
    asked = {"images": given.images, "batch": given.batch, "loop": given.loop_images, "steps": given.steps}
    return Load(**{key: value or getattr(usual, key) for key, value in asked.items()})


@dataclass
class Comparison:
    """The four ways with one model, in turns."""

    name: str
    model: str
    folder: Path
    load: Load
    given: argparse.Namespace
    rates: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)

    @property
    def half(self) -> str:
        """The half precision of the loops."""
        return "bf16" if self.given.device == "cpu" else "fp16"

    @property
    def ours(self) -> str:
        """The precision of the batched ways: full on the CPU, where half gains nothing."""
        return "fp32" if self.given.device == "cpu" else self.half

    def measure(self, figures: Figures, until: float) -> None:
        """Go round while there is time, at least once; then the table."""
        pipes = {dtype: self.opened(dtype) for dtype in sorted({"fp32", self.half, self.ours})}
        variants, lasted = self.variants(pipes, write_sources(self.folder / "sources", self.load.batch)), 0.0
        for number in range(self.given.rounds):
            began = time.monotonic()
            if number and began + lasted > until:
                print(f"{self.name}: no time for more than {number} rounds", flush=True)
                break
            for name, (count, seconds_of) in variants.items():
                seconds, peak = on_device(seconds_of, self.given.device)
                peak += 0 if name.startswith("augforge") else weights_of(pipes[name[-4:]])  # it loads its own
                self.rates[name] = max(self.rates.get(name, 0.0), count / seconds)
                self.peaks[name] = max(self.peaks.get(name, 0), peak)
            lasted = time.monotonic() - began
        self.report(figures, pipes[self.ours])

    def opened(self, dtype: str) -> Any:
        """The plain diffusers pipeline, warmed up."""
        import diffusers
        import torch

        quiet()
        kinds = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
        place = find_model(self.model, "text-to-image" if self.name == "sdxl" else "conditioning").location
        kind = "StableDiffusionXLPipeline" if self.name == "sdxl" else "StableUnCLIPImg2ImgPipeline"
        pipe = getattr(diffusers, kind).from_pretrained(place, dtype=kinds[dtype]).to(self.given.device)
        pipe.set_progress_bar_config(disable=True)
        loop(pipe, 1, 1, 1)
        return pipe

    def variants(self, pipes: dict[str, Any], sources: Path) -> dict[str, tuple[int, Callable[[], float]]]:
        """The number of images and what makes them and tells the seconds, by way."""
        load, half, ours = self.load, self.half, self.ours
        return {
            "a: one per call, fp32": (load.loop, lambda: loop(pipes["fp32"], load.loop, 1, load.steps)),
            f"b: one per call, {half}": (load.loop, lambda: loop(pipes[half], load.loop, 1, load.steps)),
            f"c: bare pipeline, {ours}": (load.images, lambda: loop(pipes[ours], load.images, load.batch, load.steps)),
            f"augforge, {ours}": (load.images, lambda: self.whole(sources)),
        }

    def whole(self, sources: Path) -> float:
        """Seconds of `generate`, from the opened model to the last commit."""
        load, clock = self.load, UntilWritten()
        options = {"model": self.model, "per_class": load.images, "batch": load.batch, "steps": load.steps}
        options |= {"dtype": self.ours, "guidance": GUIDANCE, "prompt": "a photo of a {label}"}
        xl = self.name == "sdxl"
        stage = ClockedText(**options) if xl else ClockedConditioning(mode="embed-cutmix-dropout", **options)
        recipe = Recipe("speed", 0, (SourceSpec("folder", str(sources)),), (stage,))
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            run(recipe, Path(out), device=self.given.device, progress=clock)
        CLOCK.wall = clock.finished - CLOCK.started
        return CLOCK.wall

    def report(self, figures: Figures, pipe: Any) -> None:
        """The table, the bars and how near it comes to the device's peak."""
        (a, b, c, mine), load = self.rates.values(), self.load
        print(f"{self.model} on {self.given.device}, {load.images} images, batch {load.batch}, {load.steps} steps")
        for variant, rate in self.rates.items():
            print(f"{variant:26} {rate:8.2f} images/s   {rate / a:5.2f} of a   {rate / c:5.2f} of c")
            row = {
                "images/s": rate,
                "of a": rate / a,
                "of c": rate / c,
                "GiB": self.peaks[variant] / 2**30 if self.given.device == "cuda" else None,
            }
            figures.row("ways", model=self.name, variant=variant, batch=1 if variant[0] in "ab" else load.batch, **row)
        figures.bar(f"{self.name}: augforge over the loop of single images in fp32", mine / a, LOOP_BAR)
        figures.bar(f"{self.name}: augforge over the bare pipeline at the same batch", mine / c, BARE_BAR)
        figures.note(f"{self.name}: augforge makes {mine / b:.2f} times as many as the loop in {self.half}.")
        busy, again = CLOCK.busy / CLOCK.wall, CLOCK.retried
        figures.note(f"{self.name}: the model was busy for {busy:.1%} of our wall time; {again} pictures were retried.")
        flops = flops_an_image(pipe, load.steps)
        peak = (self.given.peak_tflops or 0) * 1e12 or peak_flops(self.given.device, pipe.dtype, self.given.smoke)
        shares = f"{mine * flops / peak:.1%} for augforge, {c * flops / peak:.1%} for the bare pipeline"
        figures.note(
            f"{self.name}: the denoiser takes {flops / 1e12:.4g} TFLOP an image, so {mine * flops / 1e12:.4g} TFLOP/s; "
            f"of the peak of {peak / 1e12:.4g} TFLOP/s {shares}."
        )


def loop(pipe: Any, images: int, batch: int, steps: int) -> float:
    """Seconds of calling the pipeline on ready tensors, `batch` at a time."""
    import torch

    more: dict[str, Any] = {}
    if hasattr(pipe, "image_normalizer"):
        width = pipe.image_encoder.config.projection_dim
        embeds = torch.randn(batch, width, generator=torch.Generator().manual_seed(0))
        more["image_embeds"] = embeds.to(pipe.device, pipe.dtype)
    started = time.perf_counter()
    for _ in range(images // batch):
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in range(batch)]
        prompts = ["a photo of a 3"] * batch
        pipe(prompt=prompts, generator=generators, num_inference_steps=steps, guidance_scale=GUIDANCE, **more)
    return time.perf_counter() - started


@dataclass
class Clock:
    """When the generator was loaded, how long its model has worked since, and how often it had to try again."""

    started: float = 0.0
    busy: float = 0.0
    wall: float = 1.0
    retried: int = 0

    def around(self, loaded: LoadedGenerator) -> LoadedGenerator:
        """The loaded generator with this clock on it; loading is not counted, as the others' is not."""
        self.started, self.busy, self.retried = time.perf_counter(), 0.0, 0

        def make(batch: Any) -> Any:
            started = time.perf_counter()
            made = loaded.generate(batch)
            self.busy += time.perf_counter() - started
            self.retried += sum("retried-in" in picture.facts for picture in made)
            return made

        return LoadedGenerator(make, loaded.facts)


CLOCK = Clock()


class ClockedConditioning(AugmentedConditioning):
    """The stage of image embeddings, with a clock around the model."""

    def load(self, device: str) -> LoadedGenerator:
        """The loaded generator behind the clock."""
        return CLOCK.around(super().load(device))


class ClockedText(Text2Img):
    """The stage of class names, with a clock around the model."""

    def load(self, device: str) -> LoadedGenerator:
        """The loaded generator behind the clock."""
        return CLOCK.around(super().load(device))


class UntilWritten(Progress):
    """Notes when the stage has committed its last image, which is when the dataset begins to be written."""

    finished = 0.0

    def bar(self, title: str, total: int, unit: str = "images") -> Any:
        """Stops the clock at the bar of the dataset."""
        if title == "write":
            self.finished = time.perf_counter()
        return super().bar(title, total, unit)


def write_sources(folder: Path, count: int, side: int = 256) -> Path:
    """JPEG photographs to decode: smooth noise of a realistic size."""
    (folder / "3").mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(count):
        small = Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        small.resize((side, side), Image.Resampling.BICUBIC).save(folder / "3" / f"{number}.jpg", quality=90)
    return folder


def flops_an_image(pipe: Any, steps: int) -> float:
    """FLOPs of the denoiser for one guided image: two rows a step."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        loop(pipe, 1, 1, 1)
    counts = counter.get_flop_counts()
    return float(sum(counts.get(type(pipe.unet).__name__, {}).values()) * steps)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--models", nargs="+", choices=list(LOADS), help="the built-in one, or of real size")
    parser.add_argument("--model", help="in their place, a StableUnCLIP directory")
    parser.add_argument("--images", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--loop-images", type=int, help="images of the one-image-per-call loops")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no round that would end later")
    parser.add_argument("--smoke", action="store_true", help="toy sizes")
    parser.add_argument("--peak-tflops", type=float, help="the device's peak in the precision used")
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser


if __name__ == "__main__":
    main()
