"""What a diffusion back-end is: it makes a batch of images from a `Request`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from augforge.errors import ModelError, did_you_mean
from augforge.models.backends.options import Options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from augforge.algorithms.repaint import Jumps
    from augforge.models.table import Model

REMEMBERED = 20_000
REMEMBERED_BYTES = 1 << 30  # the tokens of Redux are 12 MB an image
EMBEDDED = 32
_ROWS = (
    "prompts",
    "negatives",
    "seeds",
    "embeds",
    "negative_embeds",
    "labels",
    "images",
    "references",
    "masks",
    "loras",
    "controls",
)  # one entry an image; the other fields hold for all


@dataclass(frozen=True, slots=True)
class Control:
    """How strongly, and when, control pictures act; in diffusers `controlnet_conditioning_scale` and the like.

    Attributes:
        scale: what the residuals of the control network are multiplied by; 0 is none of it.
        start: the share of the steps, in [0, 1], after which they act.
        end: the share after which they act no more; where it is not above `start` they never act.
    """

    scale: float = 1.0
    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True, slots=True)
class Request:
    """One batch of n images to make; every sequence has length n.

    Attributes:
        prompts: what the images should show; back-ends without a text encoder do not read them.
        negatives: what they should not show; "" is "nothing said", and leaves the choice to the pipeline.
        seeds: of each image's own generator, on the CPU whatever the device.
        steps: of the scheduler; an image-to-image back-end runs `int(steps * strength)` of them.
        guidance: the classifier-free guidance scale; 1 or less turns it off.
        embeds: (n, D) image embeddings as the back-end's own `embed` makes them; (n, k * D) where a back-end that
            `refers_to_several` is given k images for each row, one after the other.
        images: RGB pictures, resized to `size` where they are not of that size.
        negative_embeds: as `embeds`, of an image for each row that it is guided away from (DIPSY), where the back-end
            `takes_negative_image`; by `negative_guidance`, and with `positive_guidance` for the positive one apart from
            the text (see `augforge.algorithms.guidance.dual_image`).
        labels: the class of each image, for a back-end that reads a class and no text.
        references: further pictures of each row, beside the one in `images`, for a back-end that `refers_to_several`.
        masks: (h, w) bool of each picture, true where it is to be painted; resized as the pictures are.
        controls: RGB pictures of the layout, such as edges or depths, resized as the pictures are.
        control: how strongly, and when, they act.
        jumps: unconditional only, how often it goes back.
        strength: in (0, 1], how much of the picture is replaced by noise.
        noise_level: unCLIP only, the noise added to the embedding.
        scale: IP-Adapter and Redux only, the weight of the embedding.
        loras: the shares of LoRAs of classes or images, by the LoRA's model and what it is of; {} for none.
        size: (width, height) in px; None is the model's own.
    """

    prompts: Sequence[str]
    negatives: Sequence[str]
    seeds: Sequence[int]
    steps: int
    guidance: float
    embeds: NDArray[np.float32] | None = None
    images: Sequence[Image] | None = None
    negative_embeds: NDArray[np.float32] | None = None
    negative_guidance: float = 0.0
    positive_guidance: float | None = None
    labels: Sequence[str] | None = None
    references: Sequence[Sequence[Image]] | None = None
    masks: Sequence[NDArray[np.bool_]] | None = None
    controls: Sequence[Image] | None = None
    control: Control = Control()
    jumps: Jumps | None = None
    strength: float | None = None
    noise_level: int = 0
    scale: float = 1.0
    loras: Sequence[Mapping[str, Mapping[str, float]]] | None = None
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        lengths = {name: len(rows) for name in _ROWS if (rows := getattr(self, name)) is not None}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"a request has one row an image, but {lengths}")

    def __len__(self) -> int:
        return len(self.prompts)

    def rows(self, start: int, stop: int) -> Request:
        """The request for the images from `start` up to `stop`."""
        parts = {name: rows[start:stop] for name in _ROWS if (rows := getattr(self, name)) is not None}
        return replace(self, **parts)

    def taken(self, places: Sequence[int]) -> Request:
        """The request for the images at `places`, which may be named repeatedly."""
        given = {name: rows for name in _ROWS if (rows := getattr(self, name)) is not None}
        arrays = {"embeds", "negative_embeds"}
        parts: dict[str, Any] = {
            name: rows[list(places)] if name in arrays else [rows[place] for place in places]
            for name, rows in given.items()
        }
        return replace(self, **parts)


class Backend(ABC):
    """A diffusion model behind one interface.

    Attributes:
        carries: what it can be conditioned on beside text: any of "embedding", "image", "mask" and "control".
        reads_prompt: whether text conditions it at all.
        takes_strength: false where an image is read whole and no noise is added to it.
        refers_to_several: whether a row can refer to more images than one.
        takes_negative_image: whether a row can be guided away from an image.
        one_by_one: whether each row is a call of its own, so that a batch saves nothing.
        facts: what provenance records: model, scheduler, device, precision, versions and every tuning option.
    """

    carries: ClassVar[frozenset[str]]
    reads_prompt: ClassVar[bool] = True
    takes_strength: ClassVar[bool] = True
    refers_to_several: ClassVar[bool] = False
    takes_negative_image: ClassVar[bool] = False
    one_by_one: ClassVar[bool] = False
    options: ClassVar[type[Options]] = Options
    facts: Mapping[str, Any]

    @abstractmethod
    def __init__(self, model: Model | str, device: str, dtype: str, options: Options) -> None:
        """Load `model`; see `open_backend`."""

    @classmethod
    def read_options(cls, given: Mapping[str, Any]) -> Options:
        """The options of this back-end; ModelError, with the likely name, for one that it does not have."""
        known = [field.name for field in fields(cls.options)]
        for name in given:
            if name not in known:
                raise ModelError(f"this back-end has no option {name!r}", did_you_mean(name, known))
        return cls.options(**given)

    @property
    def ways(self) -> tuple[frozenset[str], ...]:
        """The sets of conditions that a request can have: all that it carries, and what may be left out or added."""
        may_lack_images = {"embedding", "image"} <= self.carries
        return (self.carries, self.carries - {"image"}) if may_lack_images else (self.carries,)

    @property
    def labels(self) -> Sequence[str]:
        """The names of the classes that it can make, where it reads a class and no text; else ()."""
        return ()

    @property
    def encoder_size(self) -> int:
        """The side, in px, of the square picture that the image encoder looks at.

        Raises:
            ModelError: the back-end has no image encoder.
        """
        raise ModelError(f"{type(self).__name__} has no image encoder", "use a back-end that carries an embedding")

    def embed(self, images: Sequence[Image], batch: int) -> NDArray[np.float32]:
        """(n, D) embeddings of n RGB images, always computed `batch` at a time, the last batch padded.

        Raises:
            ModelError: the back-end has no image encoder.
        """
        raise ModelError(f"{type(self).__name__} has no image encoder", "use a back-end that carries an embedding")

    def embed_once(self, keys: Sequence[str], images: Sequence[Image]) -> NDArray[np.float32]:
        """(n, D) as `embed`, where images with the same key are the same and are embedded once.

        The last `REMEMBERED` embeddings are kept, of large ones fewer. They are always computed `EMBEDDED` at a time,
        whatever the batch of the plan, so that an embedding does not depend on which others are still known.
        """
        import numpy as np

        known: OrderedDict[str, NDArray[np.float32]] = self.__dict__.setdefault("_known", OrderedDict())
        new = {key: image for key, image in zip(keys, images, strict=True) if key not in known}
        if new:
            known.update(zip(new, self.embed(list(new.values()), EMBEDDED), strict=True))
        for key in keys:
            known.move_to_end(key)
        embeds = np.stack([known[key] for key in keys])
        while len(known) > min(REMEMBERED, REMEMBERED_BYTES // max(1, embeds[0].nbytes)):
            known.popitem(last=False)
        return embeds

    @abstractmethod
    def generate(self, request: Request) -> NDArray[np.float32]:
        """(n, h, w, 3) images in [0, 1], one for each row of the request. NaN is passed on, for the caller to see.

        An image depends on its own row alone: it has a generator of its own, on the CPU, and neighbours in the batch
        change nothing; another batch size changes at most the last bits.

        Raises:
            ModelError: the request asks for what the back-end cannot do, or one image alone is too big for memory.
        """
