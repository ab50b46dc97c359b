"""Data, prompts and tokenizer shared by the training scripts of the built-in models.

Not a command. `load_pictures("data", "train")` gives every picture of three small sets as uint8 tensors:
scikit-learn's digits (installed with scikit-learn), CIFAR-10 (`cifar10_{train,test}.parquet`) and five kinds of
flowers (`flowers5_ccby_160.tar`); the last two are looked for in the data directory.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import string
import tarfile
import time
from collections import Counter
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
FLOWERS = ["daisy", "dandelion", "roses", "sunflowers", "tulips"]
CLASSES = DIGITS + CIFAR + FLOWERS
SETS = {"digits": (0, 10), "cifar10": (10, 20), "flowers": (20, 25)}
"""First and last + 1 class index of each set."""

SYNONYMS: dict[str, list[str]] = {
    **{name: [name, str(i), f"digit {name}", f"digit {i}", f"number {name}"] for i, name in enumerate(DIGITS)},
    "airplane": ["airplane", "plane", "airplanes"],
    "automobile": ["automobile", "car", "automobiles"],
    "daisy": ["daisy", "daisies", "daisy flower"],
    "dandelion": ["dandelion", "dandelions", "dandelion flower"],
    "roses": ["roses", "rose", "rose flower"],
    "sunflowers": ["sunflowers", "sunflower", "sunflower flower"],
    "tulips": ["tulips", "tulip", "tulip flower"],
}
TEMPLATES = [
    "a photo of a {}", "a photo of {}", "a picture of the {}", "a picture of a {}", "a handwritten {}", "a {}", "{}",
    "an image of a {}", "a blurry photo of a {}", "a good photo of the {}", "a photo of one {}", "a small {}",
    "a photograph of a {}.", "a photo of the {}.", "a photo of a {}.",
]  # fmt: skip
CONTEXT = 24
"""Tokens of a prompt, start and end included."""


def busy_seconds() -> float:
    """CPU seconds of this process so far, a thread: a busy machine trains as long as an idle one."""
    return time.process_time() / torch.get_num_threads()


# ---------------------------------------------------------------- pictures


@dataclass
class Pictures:
    """Pictures of one set and one size: `images` uint8 [n, 3, s, s], `labels` indices into CLASSES."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def is_test_digit(grey: np.ndarray) -> bool:
    """The fixed 20 % split, by the content of the 8x8 uint8 picture."""
    return int(hashlib.sha256(grey.tobytes()).hexdigest()[-4:], 16) / 16**4 < 0.2


def digit_picture(values: np.ndarray) -> tuple[np.ndarray, Image.Image]:
    """An 8x8 digit of scikit-learn (0..16) as uint8 and as the 32x32 grey picture written for users."""
    grey = np.round(values.reshape(8, 8) * 255 / 16).astype(np.uint8)
    return grey, Image.fromarray(grey).resize((32, 32), Image.Resampling.BICUBIC)


def load_digits(split: str) -> Pictures:
    """scikit-learn's digits, 32x32."""
    from sklearn.datasets import load_digits as sklearn_digits

    source = sklearn_digits()
    images, labels = [], []
    for values, label in zip(source.data, source.target, strict=True):
        grey, picture = digit_picture(values)
        if is_test_digit(grey) == (split == "test"):
            images.append(np.stack([np.asarray(picture)] * 3))
            labels.append(int(label))
    return Pictures(torch.from_numpy(np.stack(images)), torch.tensor(labels))


def load_cifar(data: Path, split: str) -> Pictures:
    """CIFAR-10 from its parquet file, 32x32."""
    import pyarrow.parquet as pq

    table = pq.read_table(data / f"cifar10_{split}.parquet").to_pydict()
    images = [np.asarray(Image.open(io.BytesIO(row["bytes"])).convert("RGB")) for row in table["image"]]
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    return Pictures(stacked, torch.tensor(table["label"]) + SETS["cifar10"][0])


def flower_crop(picture: Image.Image, size: int, rng: random.Random | None) -> np.ndarray:
    """The centre square, or with `rng` a random square crop of 60-100 % of the side, at `size`."""
    width, height = picture.size
    side = min(width, height) * (rng.uniform(0.6, 1.0) if rng else 1.0)
    left = (width - side) * (rng.random() if rng else 0.5)
    top = (height - side) * (rng.random() if rng else 0.5)
    box = (left, top, left + side, top + side)
    crop = picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
    return np.asarray(crop).transpose(2, 0, 1)


def load_flowers(data: Path, split: str, size: int, crops: int = 1) -> Pictures:
    """The flowers as squares: the centre first, then `crops - 1` random crops of every photo."""
    rng = random.Random(0)
    images, labels = [], []
    with tarfile.open(data / "flowers5_ccby_160.tar") as archive:
        for member in archive:
            parts = Path(member.name).parts
            if len(parts) != 4 or parts[1] != {"train": "train", "test": "val"}[split]:
                continue
            stream = archive.extractfile(member)
            if stream is None:
                continue
            picture = Image.open(io.BytesIO(stream.read())).convert("RGB")
            for i in range(crops):
                images.append(flower_crop(picture, size, rng if i else None))
                labels.append(CLASSES.index(parts[2]))
    return Pictures(torch.from_numpy(np.stack(images)), torch.tensor(labels))


def load_pictures(data: Path, split: str, flower_size: int = 32, flower_crops: int = 1) -> dict[str, Pictures]:
    """All three sets of a split ("train" or "test")."""
    return {
        "digits": load_digits(split),
        "cifar10": load_cifar(data, split),
        "flowers": load_flowers(data, split, flower_size, flower_crops),
    }


def draw(pictures: Pictures, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A random batch, drawn with replacement."""
    index = torch.randint(len(pictures), (count,), generator=generator)
    return pictures.images[index], pictures.labels[index]


def shift_and_flip(images: Tensor, pad: int, flip: bool, generator: torch.Generator) -> Tensor:
    """Every picture shifted by up to `pad` pixels (mirrored borders), half of them flipped when `flip`."""
    n, _, height, width = images.shape
    padded = F.pad(images.float(), (pad, pad, pad, pad), mode="reflect")
    rows = torch.randint(2 * pad + 1, (n, 1), generator=generator) + torch.arange(height)
    columns = torch.randint(2 * pad + 1, (n, 1), generator=generator) + torch.arange(width)
    if flip:
        mirrored = torch.rand(n, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    out = padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return out.permute(0, 3, 1, 2).contiguous()


# ---------------------------------------------------------------- prompts and tokenizer


def class_prompt(label: int, rng: random.Random, noise: float = 0.1) -> str:
    """A random prompt of a class; with probability `noise` an unknown word is put before or after it."""
    name = CLASSES[label]
    prompt = rng.choice(TEMPLATES).format(rng.choice([name, *SYNONYMS.get(name, [name, name + "s"])]))
    if rng.random() < noise:
        word = "".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 6)))
        prompt = rng.choice([f"{word} {prompt}", f"{prompt} {word}", f"{prompt}, {word}"])
    return prompt


def byte_alphabet() -> list[str]:
    """The printable character that stands for each of the 256 bytes (GPT-2's and CLIP's convention)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    return [table[byte] for byte in range(256)]


def learn_merges(words: list[str]) -> list[tuple[str, str]]:
    """Byte-pair merges, most frequent pair first, until every word is one token."""
    pieces = {word: [*word[:-1], word[-1] + "</w>"] for word in sorted(set(words))}
    merges: list[tuple[str, str]] = []
    while True:
        pairs = Counter(pair for piece in pieces.values() for pair in pairwise(piece))
        if not pairs:
            return merges
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for word, piece in pieces.items():
            joined: list[str] = []
            for token in piece:
                if joined and (joined[-1], token) == best and joined[-1] != best[0] + best[1]:
                    joined[-1] = best[0] + best[1]
                else:
                    joined.append(token)
            pieces[word] = joined


def write_tokenizer(folder: Path) -> int:
    """Write a byte-level CLIP tokenizer that knows the words of our prompts; gives its number of entries."""
    from transformers import CLIPTokenizer

    texts = [template.replace("{}", "") for template in TEMPLATES]
    texts += [*CLASSES, *chain.from_iterable(SYNONYMS.values()), *(f"{name}s" for name in CIFAR)]
    words = [word for text in texts for word in text.replace(".", " ").split()]
    merges = learn_merges(words)
    alphabet = byte_alphabet()
    entries = ["<|pad|>", *alphabet, *(c + "</w>" for c in alphabet), *dict.fromkeys(a + b for a, b in merges)]
    entries += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({entry: i for i, entry in enumerate(entries)}), "utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *(f"{a} {b}" for a, b in merges)]) + "\n", "utf-8")
    tokenizer = CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), pad_token="<|pad|>", model_max_length=CONTEXT
    )
    tokenizer.save_pretrained(folder)
    return len(entries)
