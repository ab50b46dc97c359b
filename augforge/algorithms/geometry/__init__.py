"""Geometry that labels can follow: every operation moves an image and its label map alike, and can be taken back.

Each operation says where an output pixel comes from (`source`) and where an input pixel went (`target`); the rest
follows from that. Images are interpolated; label maps take the nearest pixel, so that no class appears that was not
there, save the declared value for what lies outside. An operation is logged as plain JSON. The contract (logged
operations, undone in reverse order, all of them consumed) is that of AugUndo (Wu et al., ECCV 2024).
"""

from augforge.algorithms.geometry.base import Op, Order
from augforge.algorithms.geometry.bend import Jigsaw, Linear, Perspective, Shear
from augforge.algorithms.geometry.chain import VOID, Geometry, Log
from augforge.algorithms.geometry.fields import Fields
from augforge.algorithms.geometry.ops import OPS, Affine, Crop, Flip, Resize, Shift, Turn, Warp
from augforge.algorithms.geometry.sampling import draw_affine, draw_flip, draw_warp
from augforge.algorithms.geometry.sector import Sector

__all__ = [
    "OPS",
    "VOID",
    "Affine",
    "Crop",
    "Fields",
    "Flip",
    "Geometry",
    "Jigsaw",
    "Linear",
    "Log",
    "Op",
    "Order",
    "Perspective",
    "Resize",
    "Sector",
    "Shear",
    "Shift",
    "Turn",
    "Warp",
    "draw_affine",
    "draw_flip",
    "draw_warp",
]
