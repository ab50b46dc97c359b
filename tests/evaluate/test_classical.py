"""RandAugment copies: each from its own seed, whoever else draws meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image

from augforge.data.images import encode_png
from augforge.data.ledger import Ledger
from augforge.data.sample import Sample
from augforge.evaluate.classical import Copies, rand_augment

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))


class Bytes:
    def bytes_of(self, sample):
        return encode_png(PICTURE)


def test_a_seed_gives_the_same_picture_in_any_thread_and_leaves_the_global_generator_alone():
    alone = [np.asarray(rand_augment(PICTURE, seed)) for seed in range(16)]
    before = torch.get_rng_state()
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda seed: np.asarray(rand_augment(PICTURE, seed)), range(16)))
    assert all((one == other).all() for one, other in zip(alone, together, strict=True))
    assert torch.equal(torch.get_rng_state(), before)
    assert len({picture.tobytes() for picture in alone}) > 8


def test_every_image_has_its_turn_before_one_has_another():
    real = Ledger(["cat", "dog"])
    real.extend(
        Sample(id=f"{label}{n}", label=label, digest=f"{label}{n}") for label in ("cat", "dog") for n in range(3)
    )
    copies = Copies(real, real.visible(), {"cat": 4, "dog": 0}, Bytes())
    parents = [sample.parents[0] for sample in copies.ledger.samples(copies.ledger.visible())]
    assert len(parents) == 4 and set(parents[:3]) == {"cat0", "cat1", "cat2"} and parents[3] == parents[0]
    assert len(set(copies.ledger.column("digest"))) == 4
    first, _, _, again = copies.ledger.samples(copies.ledger.visible())
    assert copies.bytes_of(first) == copies.bytes_of(first) != copies.bytes_of(again)
