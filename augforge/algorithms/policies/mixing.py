"""AugMix: an image mixed with what chains of operations made of it (Hendrycks et al., ICLR 2020, arXiv 1912.02781)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from augforge.algorithms.policies.operations import Interpolation, applied


def mixed(
    image: Image.Image, drawn: Mapping[str, Any], interpolation: Interpolation = "bilinear", fill: int = 0
) -> NDArray[np.uint8]:
    """(h, w, 3) the mixture of an RGB image with its chains, by the weights that `draw_augmix` drew.

    What chains without operations weigh is given to the image itself, which is so kept to the byte where nothing else
    is mixed in.
    """
    original = np.asarray(image)
    chains = [(chain, weight) for chain, weight in zip(drawn["chains"], drawn["weights"], strict=True) if chain]
    if not chains:
        return original
    mixture = np.float32(1 - sum(weight for _, weight in chains)) * original.astype(np.float32)
    for chain, weight in chains:
        made, _ = applied(image, chain, interpolation, fill)
        mixture += np.float32(weight) * made
    rounded: NDArray[np.uint8] = np.rint(mixture).clip(0, 255).astype(np.uint8)
    return rounded
