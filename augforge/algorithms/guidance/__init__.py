"""Training-free controls for diffusers pipelines, added by module hooks while a `with` block lasts.

Nothing here replaces or copies a pipeline: a control hooks into the pipeline's own denoiser, and the block's end takes
it out again, whatever happened inside.

    with perp_neg_guidance(pipe, negatives=[("blurry", 1.5)]):
        pipe(prompt, guidance_scale=7.5)

    with negtome(pipe, alpha=0.9, threshold=0.7):
        pipe([prompt] * 4)

The two may be nested, in either order.
"""

from augforge.algorithms.guidance.dual_image import Weights, dual_image_direction, dual_image_guidance
from augforge.algorithms.guidance.negtome import encode_reference, negtome, push_away
from augforge.algorithms.guidance.perp_neg import perp_neg, perp_neg_direction, perp_neg_guidance

__all__ = [
    "Weights",
    "dual_image_direction",
    "dual_image_guidance",
    "encode_reference",
    "negtome",
    "perp_neg",
    "perp_neg_direction",
    "perp_neg_guidance",
    "push_away",
]
