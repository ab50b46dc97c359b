"""How fast `generate` is: augforge from files to committed Arrow parts, against the loops that people write.

    python benchmarks/generate.py                          the built-in model on the CPU: about 3 minutes on two cores
    python benchmarks/generate.py --device cuda --images 64 --batch 16     a real-size unCLIP with random weights

Side by side in one run, on the same images, steps and guidance, warmed up, the best of `--rounds`:

    a  one image per call, full precision (the loop of the published scripts)
    b  one image per call, half precision (bf16 on the CPU)
    c  the bare pipeline at the same batch, tensors already there, nothing written
    ours  `augforge generate`: decode the sources, mix, encode, denoise, check, encode PNG, commit
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from augforge.engine.run import run
from augforge.models import find_model
from augforge.models.devices import quiet
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec
from augforge.stages.generator import LoadedGenerator
from augforge.stages.generators.augmented_conditioning import AugmentedConditioning


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--loop-images", type=int, default=16, help="images of the one-image-per-call loops")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", help="a StableUnCLIP directory (built-in on the CPU, real size with random weights)")
    parser.add_argument("--peak-tflops", type=float, help="the device's peak in the precision used, for the last line")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = args.model or (
            "builtin-unclip" if args.device == "cpu" else str(save_real_size(Path(folder) / "model"))
        )
        compare(args, Path(folder), model)


def compare(args: argparse.Namespace, folder: Path, model: str) -> None:
    """Time the four roads and print them."""
    half = "bf16" if args.device == "cpu" else "fp16"
    ours = "fp32" if args.device == "cpu" else half
    sources = write_sources(folder / "sources", args.batch)
    pipes = {dtype: load(model, args.device, dtype) for dtype in {"fp32", half, ours}}
    variants: dict[str, tuple[int, Callable[[], float]]] = {
        "a  one per call, fp32": (args.loop_images, lambda: loop(pipes["fp32"], args, args.loop_images, 1)),
        f"b  one per call, {half}": (args.loop_images, lambda: loop(pipes[half], args, args.loop_images, 1)),
        f"c  bare pipeline, {ours}": (args.images, lambda: loop(pipes[ours], args, args.images, args.batch)),
        f"ours, {ours}": (args.images, lambda: whole(model, sources, folder, args, ours)),
    }
    best = dict.fromkeys(variants, 0.0)
    for _ in range(args.rounds):
        for name, (count, timed) in variants.items():
            best[name] = max(best[name], count / timed())
    a, _, c, mine = best.values()
    print(f"{model} on {args.device}, {args.images} images, batch {args.batch}, {args.steps} steps")
    for name, rate in best.items():
        print(f"{name:26} {rate:8.2f} images/s   {rate / a:5.2f} of a   {rate / c:5.2f} of c")
    print(f"the model was busy for {Timed.busy / Timed.wall:.1%} of our wall time (last round)")
    flops = flops_an_image(pipes[ours], args)
    share = f", {mine * flops / args.peak_tflops / 1e12:.1%} of the peak" if args.peak_tflops else ""
    print(f"denoiser {flops / 1e9:.2f} GFLOP an image, {mine * flops / 1e12:.3f} TFLOP/s{share}")


def load(model: str, device: str, dtype: str) -> Any:
    """The plain diffusers pipeline."""
    import diffusers
    import torch

    quiet()
    kinds = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    location = find_model(model, "conditioning").location
    pipe = diffusers.StableUnCLIPImg2ImgPipeline.from_pretrained(location, dtype=kinds[dtype])
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def loop(pipe: Any, args: argparse.Namespace, images: int, batch: int) -> float:
    """Seconds of calling the pipeline on ready embeddings, `batch` at a time."""
    import torch

    width = pipe.image_encoder.config.projection_dim
    embeds = torch.randn(batch, width, generator=torch.Generator().manual_seed(0)).to(pipe.device, pipe.dtype)
    started = time.perf_counter()
    for _ in range(images // batch):
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in range(batch)]
        prompts = ["a photo of a 3"] * batch
        pipe(
            prompt=prompts,
            image_embeds=embeds,
            generator=generators,
            num_inference_steps=args.steps,
            guidance_scale=2.5,
        )
    return time.perf_counter() - started


class Timed(AugmentedConditioning):
    """The stage, with a clock around the model."""

    started: ClassVar[float] = 0.0
    busy: ClassVar[float] = 0.0
    wall: ClassVar[float] = 1.0

    def open(self, device: str) -> LoadedGenerator:
        """The studio; loading is not counted, as the others' is not."""
        loaded = super().open(device)
        Timed.started, Timed.busy = time.perf_counter(), 0.0

        def make(batch: Any) -> Any:
            started = time.perf_counter()
            made = loaded.generate(batch)
            Timed.busy += time.perf_counter() - started
            return made

        return LoadedGenerator(make, loaded.facts)


def whole(model: str, sources: Path, folder: Path, args: argparse.Namespace, dtype: str) -> float:
    """Seconds of `generate`, from opening the model to the last commit."""
    options = {"model": model, "per_class": args.images, "batch": args.batch, "steps": args.steps, "dtype": dtype}
    stage = Timed(guidance=2.5, mode="embed-cutmix-dropout", prompt="a photo of a {label}", **options)
    recipe = Recipe("speed", 0, (SourceSpec("folder", str(sources)),), (stage,))
    clock = UntilWritten()
    with tempfile.TemporaryDirectory(dir=folder) as out:
        run(recipe, Path(out), device=args.device, progress=clock)
    Timed.wall = clock.finished - Timed.started
    return Timed.wall


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


def flops_an_image(pipe: Any, args: argparse.Namespace) -> float:
    """FLOPs of the denoiser for one guided image: two rows a step."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        loop(pipe, argparse.Namespace(steps=1), 1, 1)
    counts = counter.get_flop_counts()
    unet = sum(counts.get(type(pipe.unet).__name__, {}).values())
    return float(unet * args.steps)


def save_real_size(folder: Path) -> Path:
    """A StableUnCLIP of the size of the published one (865 M parameters in the U-Net), random weights."""
    import diffusers
    import torch
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
    from transformers import (
        CLIPImageProcessor,
        CLIPTextConfig,
        CLIPTextModel,
        CLIPTokenizer,
        CLIPVisionConfig,
        CLIPVisionModelWithProjection,
    )

    built_in = find_model("builtin-unclip", "conditioning").location
    tokenizer = CLIPTokenizer.from_pretrained(built_in, subfolder="tokenizer")
    text = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 23}
    vision = {"hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 16, "num_hidden_layers": 32}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pipe = diffusers.StableUnCLIPImg2ImgPipeline(
            feature_extractor=CLIPImageProcessor(),
            image_encoder=CLIPVisionModelWithProjection(
                CLIPVisionConfig(**vision, projection_dim=1024, patch_size=14, image_size=224)
            ),
            image_normalizer=StableUnCLIPImageNormalizer(embedding_dim=1024),
            image_noising_scheduler=diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
            tokenizer=tokenizer,
            text_encoder=CLIPTextModel(CLIPTextConfig(**text, vocab_size=len(tokenizer), max_position_embeddings=77)),
            unet=diffusers.UNet2DConditionModel(
                sample_size=96,
                block_out_channels=(320, 640, 1280, 1280),
                attention_head_dim=(5, 10, 20, 20),
                cross_attention_dim=1024,
                use_linear_projection=True,
                class_embed_type="projection",
                projection_class_embeddings_input_dim=2048,
            ),
            scheduler=diffusers.DPMSolverMultistepScheduler(prediction_type="v_prediction"),
            vae=diffusers.AutoencoderKL(
                block_out_channels=(128, 256, 512, 512),
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                layers_per_block=2,
                latent_channels=4,
            ),
        )
    pipe.to(torch.float16).save_pretrained(folder, safe_serialization=True)
    return folder


if __name__ == "__main__":
    main()
