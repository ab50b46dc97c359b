"""CLIP similarity: does the image look like what its label says?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from augforge.stage import EmbeddingFilter

Vectors = NDArray[np.float32]


class Clip(EmbeddingFilter):
    """Keep the images that an image-text model finds most like their class.

    Three cosine measures, all in [-1, 1]: `clip-prompt`, similarity to the class's prompt; `clip-margin`, that
    minus the best similarity to another class's prompt, in [-2, 2]; `clip-prototype`, similarity to the mean of
    the class's real images. No paper gives a cut that holds for all data, so the default is a share of each class.
    """

    name: ClassVar[str] = "clip"
    measures: ClassVar[tuple[str, ...]] = ("clip-prompt", "clip-margin", "clip-prototype")
    example: ClassVar[Mapping[str, Any]] = {"keep": 0.5}

    by: Literal["clip-prompt", "clip-margin", "clip-prototype"] = Field(
        "clip-prompt", description="The measure that the rule looks at."
    )

    def compare(
        self, images: Vectors, classes: NDArray[np.int64], prompts: Vectors, prototypes: Vectors
    ) -> dict[str, NDArray[np.float64]]:
        """The three similarities; see the base class for shapes. A single class has no other: its margin is NaN."""
        labelled = classes >= 0
        prompt, margin, prototype = (np.full(len(images), np.nan) for _ in range(3))
        mine = (np.flatnonzero(labelled), classes[labelled])
        if len(prompts) and labelled.any():
            similar = images @ prompts.T
            prompt[labelled] = similar[mine]
            if len(prompts) > 1:
                others = similar.copy()
                others[mine] = -np.inf
                margin[labelled] = prompt[labelled] - others[labelled].max(axis=1)
            prototype[labelled] = np.einsum("nd,nd->n", images[labelled], prototypes[classes[labelled]])
        return {"clip-prompt": prompt, "clip-margin": margin, "clip-prototype": prototype}
