"""Train the denoiser of `builtin-unclip` on, on a GPU, from where it is.

    python scripts/train_unclip_on.py --data data --device cuda --seconds 120 --archive builtin-unclip.tar

It says the loss on held-out pictures before and after, with the same noise, and writes the pipeline as a tar archive,
to be unpacked into `augforge/models/weights/` where it helps the figures of `evaluate_builtin.py`. Without the data of
train_builtin_unclip.py nothing is done, and it ends with exit code 77; with --smoke it tries itself out on a few of
scikit-learn's digits.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from _training_data import Pictures, load_digits, load_pictures
from torch import nn
from train_builtin_unclip import (
    Average,
    Denoising,
    cycle,
    denoising_of,
    learn,
    save_pipeline,
    set_weights,
    training_pool,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from figures import Figures

from augforge.models.devices import quiet

WEIGHTS = Path("augforge/models/weights/builtin-unclip")
NO_DATA = 77
FILES = ("cifar10_train.parquet", "cifar10_test.parquet", "flowers5_ccby_160.tar")
BATCH = 128
TOY = 16
"""Pictures of a smoke test."""
UNTIL = 0.85
"""Of the seconds given, when training ends; the rest is for measuring and saving."""


def main() -> None:
    """Read, measure, train, measure, save."""
    given, began = _parser().parse_args(), time.monotonic()
    missing = [name for name in FILES if not (given.data / name).is_file()]
    if missing and not given.smoke:
        print(f"{given.data / missing[0]} is not there: the built-in model is not trained on")
        raise SystemExit(NO_DATA)
    from diffusers import StableUnCLIPImg2ImgPipeline

    quiet()
    torch.manual_seed(given.seed)
    pipe = StableUnCLIPImg2ImgPipeline.from_pretrained(given.start)
    train, test = pictures(given)
    model = nn.ModuleDict({"unet": pipe.unet, "text": pipe.text_encoder}).to(given.device)
    figures, held_out = Figures(given.json), material_of(test, pipe, given.device)
    batches = 1 if given.smoke else 8
    before = loss_on(held_out, model, batches)
    material = material_of(train, pipe, given.device)
    steps = train_on(material, model, given.rate, began + UNTIL * given.seconds - time.monotonic())
    after = loss_on(held_out, model, batches)
    row = {"pictures": len(train), "steps": steps, "held-out loss before": before, "after": after}
    figures.row("builtin", model="builtin-unclip", **row)
    figures.note(
        f"The held-out loss {'fell' if after < before else 'did not fall'}: {before:.4f} before, {after:.4f} after."
    )
    if given.archive:
        write_archive(pipe, model, given.archive)


def pictures(given: argparse.Namespace) -> tuple[Pictures, Pictures]:
    """Those to learn from and those held out."""
    if given.smoke:
        few = (load_digits(split) for split in ("train", "test"))
        train, test = (Pictures(one.images[:TOY], one.labels[:TOY]) for one in few)
        return train, test
    test = load_pictures(given.data, "test").values()
    held_out = Pictures(torch.cat([one.images for one in test]), torch.cat([one.labels for one in test]))
    return training_pool(given.data), held_out


def material_of(pool: Pictures, pipe: Any, device: str) -> Denoising:
    """The pictures as the pipeline's parts see them, on the device."""
    encoder, vae, normalizer = (
        part.eval().to(device) for part in (pipe.image_encoder, pipe.vae, pipe.image_normalizer)
    )
    found = denoising_of(pool, encoder, vae, pipe.tokenizer, normalizer.requires_grad_(False))
    for name in ("labels", "prompts", "alphas"):
        setattr(found, name, getattr(found, name).to(device))
    return found


@torch.no_grad()
def loss_on(material: Denoising, model: nn.ModuleDict, batches: int) -> float:
    """The mean loss over pictures, noise and prompts that are always the same."""
    model.eval()
    device = material.latents.device
    with torch.random.fork_rng(), torch.device(device):
        torch.manual_seed(1)
        weights = set_weights(material.labels)
        drawn = [torch.multinomial(weights, min(BATCH, len(weights)), replacement=True) for _ in range(batches)]
        return sum(material.loss(model, index).item() for index in drawn) / batches


def train_on(material: Denoising, model: nn.ModuleDict, rate: float, seconds: float) -> int:
    """Learn for so many seconds; the model ends with its average. The number of steps, at least two."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01, betas=(0.9, 0.98))
    average, step = Average(model), 0
    with torch.device(material.latents.device):
        weights = set_weights(material.labels)
        for step, spent in cycle(max(1.0, seconds) / 60, rate, optimizer):
            index = torch.multinomial(weights, min(BATCH, len(weights)), replacement=True)
            loss = learn(model, optimizer, material.loss(model, index))
            average.update(step)
            if step % 500 == 0:
                print(f"{spent:5.0f} s  step {step}  loss {loss:.4f}", flush=True)
    average.apply()
    return step + 1


def write_archive(pipe: Any, model: nn.ModuleDict, archive: Path) -> None:
    """The pipeline in fp16, with its card, as `builtin-unclip/` in a tar file."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "builtin-unclip"
        out.mkdir()
        (out / "README.md").write_bytes((WEIGHTS / "README.md").read_bytes())
        encoder, vae, normalizer = (part.to("cpu") for part in (pipe.image_encoder, pipe.vae, pipe.image_normalizer))
        save_pipeline(model.to("cpu").eval(), encoder, vae, pipe.tokenizer, normalizer, out)
        with tarfile.open(archive, "w") as file:
            file.add(out, out.name)
    print(f"{archive}: {archive.stat().st_size / 2**20:.1f} MiB", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with the data files")
    parser.add_argument("--smoke", action="store_true", help="learn from a few of scikit-learn's digits alone")
    parser.add_argument("--start", type=Path, default=WEIGHTS, help="the pipeline to begin with")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--seconds", type=float, default=120.0, help="all together")
    parser.add_argument("--rate", type=float, default=3e-4, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--archive", type=Path, help="tar file for the pipeline")
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser


if __name__ == "__main__":
    main()
