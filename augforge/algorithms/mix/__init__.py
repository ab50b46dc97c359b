"""Two images made into one: what becomes of their pixels, their label and everything that is known of their content.

Unlike `augforge.algorithms.mixing`, which mixes what a diffusion model is conditioned on, these make images to train
with: 8-bit pixels (h, w, 3), and labels that say exactly what is seen.
"""

from augforge.algorithms.mix.attention import attention_share, box_coverage
from augforge.algorithms.mix.instances import Pasted, moved_instances, paste_geometry, silhouette, silhouettes
from augforge.algorithms.mix.labels import edited_classes, knowledge, mixed_classes
from augforge.algorithms.mix.occlusion import around, both, covered
from augforge.algorithms.mix.pixels import blended, covering, pasted
from augforge.algorithms.mix.regions import Box, area_share, cut_box, place_box, shrunk, window
from augforge.algorithms.mix.scenes import Scene, blend, copy_paste, overlay

__all__ = [
    "Box",
    "Pasted",
    "Scene",
    "area_share",
    "around",
    "attention_share",
    "blend",
    "blended",
    "both",
    "box_coverage",
    "copy_paste",
    "covered",
    "covering",
    "cut_box",
    "edited_classes",
    "knowledge",
    "mixed_classes",
    "moved_instances",
    "overlay",
    "paste_geometry",
    "pasted",
    "place_box",
    "shrunk",
    "silhouette",
    "silhouettes",
    "window",
]
