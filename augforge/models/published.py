"""Published models that embed images, by short names: where they are, on what terms, and what they make of an image."""

from __future__ import annotations

from typing import NamedTuple

APPLE = "Apple Machine Learning Research Model Licence (research only)"
DINOV3 = "DINOv3 Licence (Meta's own terms)"


class Embedder(NamedTuple):
    """A row for the table. `location` is as there: `arch/pretrained` of open_clip, or timm's repository on the hub.

    `width` is of how many numbers a vector is, `native` the side in px that the checkpoint was made for, `weights`
    about how much memory it takes in single precision.
    """

    name: str
    location: str
    licence: str
    width: int
    native: int
    weights: str
    family: str

    @property
    def about(self) -> str:
        """What the table says of it."""
        texts = "images and texts" if self.backend == "open_clip" else "images alone"
        return f"{self.family}: {texts}, {self.width:,} numbers"

    @property
    def backend(self) -> str:
        """The library that loads it."""
        return "timm" if self.location.startswith("hub:") else "open_clip"


EMBEDDERS = (
    Embedder("siglip2-b", "ViT-B-16-SigLIP2-256/webli", "Apache-2.0", 768, 256, "1.5 GB", "SigLIP 2"),
    Embedder("siglip2-l", "ViT-L-16-SigLIP2-256/webli", "Apache-2.0", 1024, 256, "3.5 GB", "SigLIP 2"),
    Embedder("siglip2-so400m", "ViT-SO400M-16-SigLIP2-384/webli", "Apache-2.0", 1152, 384, "4.5 GB", "SigLIP 2"),
    Embedder("pe-core-s", "PE-Core-S-16-384/meta", "Apache-2.0", 512, 384, "0.3 GB", "Perception Encoder"),
    Embedder("pe-core-b", "PE-Core-B-16/meta", "Apache-2.0", 1024, 224, "1.8 GB", "Perception Encoder"),
    Embedder("pe-core-l", "PE-Core-L-14-336/meta", "Apache-2.0", 1024, 336, "2.7 GB", "Perception Encoder"),
    Embedder("pe-core-g", "PE-Core-bigG-14-448/meta", "Apache-2.0", 1280, 448, "9.7 GB", "Perception Encoder"),
    Embedder("mobileclip2-s0", "MobileCLIP2-S0/dfndr2b", APPLE, 512, 256, "0.3 GB", "MobileCLIP2"),
    Embedder("mobileclip2-s2", "MobileCLIP2-S2/dfndr2b", APPLE, 512, 256, "0.4 GB", "MobileCLIP2"),
    Embedder("mobileclip2-b", "MobileCLIP2-B/dfndr2b", APPLE, 512, 224, "0.6 GB", "MobileCLIP2"),
    Embedder("dinov2-s", "hub:timm/vit_small_patch14_dinov2.lvd142m", "Apache-2.0", 384, 518, "88 MB", "DINOv2"),
    Embedder("dinov2-b", "hub:timm/vit_base_patch14_dinov2.lvd142m", "Apache-2.0", 768, 518, "0.3 GB", "DINOv2"),
    Embedder("dinov2-l", "hub:timm/vit_large_patch14_dinov2.lvd142m", "Apache-2.0", 1024, 518, "1.2 GB", "DINOv2"),
    Embedder("dinov3-s", "hub:timm/vit_small_patch16_dinov3.lvd1689m", DINOV3, 384, 256, "86 MB", "DINOv3"),
    Embedder("dinov3-b", "hub:timm/vit_base_patch16_dinov3.lvd1689m", DINOV3, 768, 256, "0.3 GB", "DINOv3"),
    Embedder("dinov3-l", "hub:timm/vit_large_patch16_dinov3.lvd1689m", DINOV3, 1024, 256, "1.2 GB", "DINOv3"),
    Embedder("aimv2-l", "hub:timm/aimv2_large_patch14_224.apple_pt", APPLE, 1024, 224, "1.2 GB", "AIMv2"),
)
"""Every name, smallest first within its family."""
