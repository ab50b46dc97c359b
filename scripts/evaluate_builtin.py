"""Measure the two built-in models: the figures of their cards.

    python scripts/evaluate_builtin.py --data data --sheet docs/images/builtin-unclip-samples.png

builtin-clip: zero-shot top-1 on test pictures, loaded and preprocessed by open_clip. builtin-unclip: pictures generated
by diffusers, conditioned on real training pictures of the class, and looked at by a judge: a classifier trained here on
real training pictures only (kept in `--judge`, trained when that file is missing).
Cost: about 2 minutes and `--judge-minutes` more the first time, 2.5 GB of memory, on a 2-core CPU.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _training_data import CLASSES, DIGITS, SETS, Pictures, load_pictures
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from train_builtin_clip import SIZE, batch, model_input
from train_builtin_unclip import cycle

WEIGHTS = Path("augforge/models/weights")
MODES = ["random-image", "embed-cutmix + dropout 0.4"]


# ---------------------------------------------------------------- builtin-clip


@torch.no_grad()
def zero_shot(folder: Path, test: dict[str, Pictures]) -> dict[str, float]:
    """Top-1 within each set with the prompt "a photo of a {}"; digits also by figure ("a photo of a 3")."""
    import open_clip

    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    model.eval()
    result: dict[str, float] = {}
    for name, (first, last) in SETS.items():
        inputs = [preprocess(as_picture(image)) for image in test[name].images]
        embeds = torch.cat([model.encode_image(x, normalize=True) for x in torch.stack(inputs).split(500)])
        forms = {name: CLASSES[first:last]}
        if name == "digits":
            forms["digits, named 0 to 9"] = [str(i) for i in range(len(DIGITS))]
        for label, names in forms.items():
            texts = model.encode_text(tokenizer([f"a photo of a {n}" for n in names]), normalize=True)
            hits = (embeds @ texts.T).argmax(1) + first == test[name].labels
            result[label] = round(hits.float().mean().item(), 4)
    return result


def as_picture(image: Tensor) -> Image.Image:
    """A uint8 [3, h, w] tensor as a picture."""
    return Image.fromarray(image.permute(1, 2, 0).numpy())


# ---------------------------------------------------------------- judge


def new_judge() -> Any:
    """timm's smallest residual network, with one output a class."""
    import timm

    return timm.create_model("test_resnet", pretrained=False, num_classes=len(CLASSES))


def train_judge(train: dict[str, Pictures], minutes: float, seed: int = 1) -> Any:
    """An ordinary classifier of real training pictures."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    judge = new_judge().train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=0.05)
    for step, seconds in cycle(minutes, 2e-3, optimizer):
        images, labels = batch(train, generator)
        with torch.autocast("cpu", torch.bfloat16):
            logits = judge(images.to(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=0.05)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(judge.parameters(), 2.0)
        optimizer.step()
        if step % 400 == 0:
            print(f"judge {seconds:5.0f} s  step {step}  loss {loss.item():.3f}", flush=True)
    return judge.eval()


def get_judge(path: Path, train: dict[str, Pictures], minutes: float) -> Any:
    """The judge from its file, or a fresh one."""
    from safetensors.torch import load_file, save_file

    judge = new_judge().eval()
    if path.exists():
        judge.load_state_dict(load_file(path))
        return judge
    judge = train_judge(train, minutes)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in judge.state_dict().items()}, path)
    return judge


@torch.no_grad()
def look(judge: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """The judge's class and features of uint8 pictures."""
    classes, features = [], []
    for part in images.split(500):
        maps = judge.forward_features(model_input(part))
        features.append(judge.forward_head(maps, pre_logits=True))
        classes.append(judge.forward_head(maps).argmax(1))
    return torch.cat(classes), torch.cat(features)


def spread(features: Tensor, labels: Tensor) -> float:
    """Mean distance of two pictures of a class, averaged over classes."""
    means = [torch.pdist(features[labels == label]).mean() for label in labels.unique()]
    return torch.stack(means).mean().item()


# ---------------------------------------------------------------- builtin-unclip


def conditioning(embeds: Tensor, labels: Tensor, mode: str, generator: torch.Generator) -> Tensor:
    """The embeddings of a mode: as they are, or a share taken from another of the class and 40 % zeroed."""
    if mode == "random-image":
        return embeds
    other = embeds.clone()
    for label in labels.unique():
        rows = (labels == label).nonzero().squeeze(1)
        other[rows] = embeds[rows.roll(1)]
    share = torch.rand(len(embeds), 1, generator=generator)
    mixed = torch.where(torch.rand(embeds.shape, generator=generator) < share, other, embeds)
    return mixed * (torch.rand(embeds.shape, generator=generator) >= 0.4)


def generate(pipeline: Any, embeds: Tensor, labels: Tensor, steps: int, guidance: float) -> Tensor:
    """One uint8 picture for every embedding, 48 at a time."""
    out = []
    for rows in torch.arange(len(labels)).split(48):
        pictures = pipeline(
            image_embeds=embeds[rows], prompt=[f"a photo of a {CLASSES[i]}" for i in labels[rows].tolist()],
            generator=[torch.Generator().manual_seed(int(i)) for i in rows], num_inference_steps=steps,
            guidance_scale=guidance, noise_level=0,
        ).images  # fmt: skip
        out += [torch.from_numpy(np.array(picture)).permute(2, 0, 1) for picture in pictures]
    return torch.stack(out)


def sources(train: dict[str, Pictures], each: int) -> Pictures:
    """`each` real training pictures of every class."""
    images, labels = [], []
    for name, (first, last) in SETS.items():
        for label in range(first, last):
            rows = (train[name].labels == label).nonzero().squeeze(1)
            rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(label))[:each]]
            pictures = train[name].images[rows]
            if pictures.shape[-1] != 32:
                pictures = F.avg_pool2d(pictures.float(), pictures.shape[-1] // 32).round().byte()
            images.append(pictures)
            labels += [label] * len(rows)
    return Pictures(torch.cat(images), torch.tensor(labels))


def load_pipeline(folder: Path) -> Any:
    """The pipeline, without its progress bar."""
    from diffusers import StableUnCLIPImg2ImgPipeline

    pipeline = StableUnCLIPImg2ImgPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@torch.no_grad()
def image_embeds(pipeline: Any, images: Tensor) -> Tensor:
    """The pipeline's own embeddings of uint8 pictures."""
    inputs = pipeline.feature_extractor(images=[as_picture(i) for i in images], return_tensors="pt").pixel_values
    return torch.cat([pipeline.image_encoder(part).image_embeds for part in inputs.split(500)])


def judge_generated(pipeline: Any, judge: Any, real: Pictures, steps: int, guidance: float) -> dict[str, Any]:
    """Judged class accuracy and spread of generated pictures, by set and mode."""
    embeds = image_embeds(pipeline, real.images)
    _, real_features = look(judge, real.images)
    generator = torch.Generator().manual_seed(0)
    result: dict[str, Any] = {}
    for mode in MODES:
        start = time.time()
        pictures = generate(pipeline, conditioning(embeds, real.labels, mode, generator), real.labels, steps, guidance)
        seconds = time.time() - start
        classes, features = look(judge, pictures)
        result[mode] = {"pictures a second": round(len(pictures) / seconds, 1)}
        for name, (first, last) in SETS.items():
            members = (real.labels >= first) & (real.labels < last)
            labels = real.labels[members]
            result[mode][name] = {
                "judged of the asked class": round((classes[members] == labels).float().mean().item(), 4),
                "spread of real": round(spread(features[members], labels) / spread(real_features[members], labels), 3),
            }
    return result


def autoencoder_figures(pipeline: Any, judge: Any, test: dict[str, Pictures]) -> dict[str, Any]:
    """Judge accuracy on real test pictures, and after a pass through the autoencoder (with its PSNR)."""
    result: dict[str, Any] = {}
    for name, pictures in test.items():
        images = pictures.images[:2000]
        if images.shape[-1] != 32:
            images = F.avg_pool2d(images.float(), images.shape[-1] // 32).round().byte()
        labels = pictures.labels[:2000]
        with torch.no_grad():
            scaled = images.float() / 127.5 - 1
            parts = [pipeline.vae.decode(pipeline.vae.encode(x).latent_dist.mean).sample for x in scaled.split(250)]
        decoded = torch.cat(parts).clamp(-1, 1)
        error = (decoded - scaled).pow(2).mean((1, 2, 3)) / 4
        shown = ((decoded + 1) * 127.5).round().byte()
        result[name] = {
            "judge on real test pictures": round((look(judge, images)[0] == labels).float().mean().item(), 4),
            "judge after autoencoder": round((look(judge, shown)[0] == labels).float().mean().item(), 4),
            "autoencoder PSNR": round((-10 * error.log10()).mean().item(), 2),
        }
    return result


def sheet(pipeline: Any, real: Pictures, path: Path, steps: int, guidance: float, columns: int = 12) -> None:
    """A row of generated pictures for every class."""
    rows = torch.cat([(real.labels == label).nonzero().squeeze(1)[:columns] for label in range(len(CLASSES))])
    embeds = image_embeds(pipeline, real.images[rows])
    pictures = generate(pipeline, embeds, real.labels[rows], steps, guidance)
    canvas = Image.new("RGB", (columns * 34, len(CLASSES) * 34), "white")
    for i, picture in enumerate(pictures):
        canvas.paste(as_picture(picture), (i % columns * 34 + 1, i // columns * 34 + 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.quantize(255).save(path, optimize=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with the data files")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--judge", type=Path, default=Path("build/judge.safetensors"))
    parser.add_argument("--judge-minutes", type=float, default=6.0)
    parser.add_argument("--each", type=int, default=40, help="generated pictures of a class and mode")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--guidance", type=float, default=2.5)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--sheet", type=Path, help="write a sheet of samples here")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train = load_pictures(options.data, "train", SIZE, 3)
    test = load_pictures(options.data, "test", SIZE)
    figures: dict[str, Any] = {"builtin-clip zero-shot top-1": zero_shot(options.weights / "builtin-clip", test)}
    print(json.dumps(figures, indent=2), flush=True)
    judge = get_judge(options.judge, train, options.judge_minutes)
    folder = options.weights / "builtin-unclip"
    if (folder / "model_index.json").exists():
        pipeline = load_pipeline(folder)
        real = sources(train, options.each)
        figures["autoencoder and judge"] = autoencoder_figures(pipeline, judge, test)
        figures["settings"] = {"steps": options.steps, "guidance": options.guidance, "each": options.each}
        figures["builtin-unclip"] = judge_generated(pipeline, judge, real, options.steps, options.guidance)
        if options.sheet:
            sheet(pipeline, real, options.sheet, options.steps, options.guidance)
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
