"""Train `builtin-clip`, the small image-text model that augforge carries, on the CPU.

    python scripts/train_builtin_clip.py --data data --minutes 20

writes `augforge/models/weights/builtin-clip/`, a directory that open_clip loads as it is. The data directory holds
`cifar10_train.parquet` and `flowers5_ccby_160.tar`; scikit-learn's digits come with scikit-learn.
Cost: the minutes asked for plus half a minute, 2 GB of memory, on a 2-core CPU.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from functools import cache
from pathlib import Path
from typing import Any

import torch
from _training_data import (
    CLASSES,
    CONTEXT,
    SETS,
    Pictures,
    busy_seconds,
    class_prompt,
    draw,
    load_pictures,
    shift_and_flip,
    write_tokenizer,
)
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

MEAN, STD = 0.48, 0.25
SIZE = 64
EMBED = 128
BATCH = {"cifar10": 104, "flowers": 12, "digits": 12}
VISION: dict[str, Any] = {
    "timm_model_name": "test_resnet", "timm_pool": "avg", "timm_proj": "linear", "image_size": SIZE,
}  # fmt: skip
"""timm's smallest residual network (0.4 million parameters); pretrained weights are not used."""


def model_config(vocabulary: int) -> dict[str, Any]:
    """open_clip's `model_cfg`."""
    text = {
        "context_length": CONTEXT, "vocab_size": vocabulary, "hf_tokenizer_name": "builtin-clip",
        "width": 64, "heads": 2, "layers": 2,
    }  # fmt: skip
    return {"embed_dim": EMBED, "vision_cfg": dict(VISION), "text_cfg": text}


def preprocess_config() -> dict[str, Any]:
    """open_clip's `preprocess_cfg`."""
    return {
        "size": SIZE, "mode": "RGB", "mean": [MEAN] * 3, "std": [STD] * 3,
        "interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0,
    }  # fmt: skip


@cache
def resize_matrix(side: int) -> Tensor:
    """The bicubic resize of one axis, as a matrix [SIZE, side]: two products are faster than `F.interpolate`."""
    return F.interpolate(torch.eye(side)[None, None], size=(SIZE, side), mode="bicubic", antialias=True)[0, 0]


def model_input(images: Tensor) -> Tensor:
    """Squares of any size with values 0..255 as the model's normalised input, resized as PIL does."""
    images = images.float()
    if images.shape[-1] != SIZE:
        resize = resize_matrix(images.shape[-1])
        images = (resize @ images @ resize.T).clamp_(0, 255)
    return images / (255 * STD) - MEAN / STD


def augment(name: str, images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift, flip (never digits), and for photos brightness and contrast; half the time flowers at 32 px."""
    out = shift_and_flip(images, 3 if name == "digits" else images.shape[-1] // 8, name != "digits", generator)
    if name == "flowers" and torch.rand((), generator=generator) < 0.5:
        out = F.avg_pool2d(out, 2)
    if name == "digits":
        return out
    gain = 1 + 0.2 * (2 * torch.rand(len(out), 1, 1, 1, generator=generator) - 1)
    offset = 30 * (2 * torch.rand(len(out), 1, 1, 1, generator=generator) - 1)
    return ((out - 122) * gain + 122 + offset).clamp(0, 255)


def batch(pictures: dict[str, Pictures], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A training batch of all sets."""
    images, labels = [], []
    for name, count in BATCH.items():
        drawn, label = draw(pictures[name], count, generator)
        images.append(model_input(augment(name, drawn, generator)))
        labels.append(label)
    return torch.cat(images), torch.cat(labels)


def tokenise(tokenizer: Any, prompts: list[str]) -> Tensor:
    """Token ids padded to the context."""
    ids: Tensor = tokenizer(
        prompts, return_tensors="pt", max_length=CONTEXT, padding="max_length", truncation=True
    ).input_ids
    return ids


class Appearance(nn.Module):
    """Predicts an 8x8 thumbnail from the embedding, so that the embedding keeps more than the class."""

    def __init__(self, dim: int = EMBED, side: int = 8) -> None:
        super().__init__()
        self.side = side
        self.linear = nn.Linear(dim, 3 * side * side)

    def forward(self, embedding: Tensor, images: Tensor) -> Tensor:
        """The squared error of the thumbnail."""
        target = F.adaptive_avg_pool2d(images, self.side).flatten(1)
        return F.mse_loss(self.linear(embedding * math.sqrt(embedding.shape[-1])), target)


@torch.no_grad()
def accuracy(model: Any, tokenizer: Any, pictures: dict[str, Pictures]) -> dict[str, float]:
    """Zero-shot top-1 within each set, with the prompt "a photo of a {}"."""
    model.eval()
    result = {}
    for name, (first, last) in SETS.items():
        prompts = tokenise(tokenizer, [f"a photo of a {c}" for c in CLASSES[first:last]])
        texts = model.encode_text(prompts, normalize=True)
        parts = [
            (model.encode_image(model_input(part), normalize=True) @ texts.T).argmax(1)
            for part in pictures[name].images.split(500)
        ]
        result[name] = (torch.cat(parts) + first == pictures[name].labels).float().mean().item()
    model.train()
    return result


def train(model: Any, tokenizer: Any, pictures: dict[str, Pictures], minutes: float, rate: float, seed: int) -> None:
    """One cycle of AdamW; its length is the time asked for."""
    generator = torch.Generator().manual_seed(seed)
    rng = random.Random(seed)
    head = Appearance()
    parameters = [*model.parameters(), *head.parameters()]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.05},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate)
    start, step, progress = busy_seconds(), 0, 0.0
    while progress < 1:
        progress = min(1.0, (busy_seconds() - start) / (60 * minutes))
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 300) * (0.5 + 0.5 * math.cos(math.pi * progress))
        images, labels = batch(pictures, generator)
        ids = tokenise(tokenizer, [class_prompt(i, rng) for i in range(len(CLASSES))])
        with torch.autocast("cpu", torch.bfloat16):
            features = model.encode_image(images.to(memory_format=torch.channels_last))
        features = F.normalize(features.float(), dim=-1)
        texts = model.encode_text(ids, normalize=True)
        logits = model.logit_scale.exp().clamp(max=50) * features @ texts.T
        class_loss = F.cross_entropy(logits, labels, label_smoothing=0.05)
        look_loss = head(features, images)
        optimizer.zero_grad(set_to_none=True)
        (class_loss + 0.25 * look_loss).backward()
        nn.utils.clip_grad_norm_(parameters, 2.0)
        optimizer.step()
        step += 1
        if step % 200 == 0:
            hits = (logits.argmax(1) == labels).float().mean().item()
            print(
                f"{busy_seconds() - start:5.0f} s  step {step}  loss {class_loss.item():.3f}"
                f"  look {look_loss.item():.3f}  hits {hits:.3f}  scale {model.logit_scale.exp().item():.1f}",
                flush=True,
            )


def save(model: Any, config: dict[str, Any], out: Path) -> None:
    """Write configuration and fp16 weights beside the tokenizer."""
    weights = {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in model.state_dict().items()
    }
    path = out / "open_clip_model.safetensors"
    save_file(weights, path, metadata={"format": "pt"})
    path.chmod(0o644)
    content = {"model_cfg": config, "preprocess_cfg": preprocess_config()}
    (out / "open_clip_config.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with the data files")
    parser.add_argument("--out", type=Path, default=Path("augforge/models/weights/builtin-clip"))
    parser.add_argument("--minutes", type=float, default=20.0, help="training time, of CPU time a thread")
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    from open_clip.model import CLIP
    from transformers import CLIPTokenizer

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    pictures = load_pictures(options.data, "train", flower_size=SIZE, flower_crops=6)
    config = model_config(write_tokenizer(options.out))
    tokenizer = CLIPTokenizer.from_pretrained(options.out)
    model = CLIP(**config).to(memory_format=torch.channels_last)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    train(model, tokenizer, pictures, options.minutes, options.rate, options.seed)
    save(model, config, options.out)
    print("zero-shot top-1 on test pictures:", accuracy(model, tokenizer, load_pictures(options.data, "test", SIZE)))


if __name__ == "__main__":
    main()
