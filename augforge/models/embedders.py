"""What embeds images, whatever library its model is of."""

from __future__ import annotations

from augforge.models.copies import open_copy_detector
from augforge.models.hub import check_at_hand
from augforge.models.offline import open_lite2
from augforge.models.table import Model
from augforge.models.tasks import COPIES
from augforge.models.vision import ClipTower, Tower, open_tower

LITE2 = ("efficientnet-lite2",)


def load_embedder(model: Model, device: str = "auto") -> ClipTower | Tower:
    """What embeds images with the model of this row.

    Raises:
        ModelError: it cannot be loaded, or it sees images in a way that is not known here.
    """
    check_at_hand(model, "image-embedding")
    if model.backends == LITE2:
        return open_lite2(model, device)
    return open_copy_detector(model, device) if model.backends == (COPIES,) else open_tower(model, device)
