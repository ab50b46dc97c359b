"""A CLIP image embedding and no text: the decoder of Kandinsky 2.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from augforge.models.backends.base import Request
from augforge.models.backends.checkpoint import Checkpoint, digest, fetch, refuse_pickles
from augforge.models.backends.diffusion import needs
from augforge.models.backends.encoded import Encoded
from augforge.models.backends.encoder import load_encoder
from augforge.models.backends.options import Options

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class KandinskyOptions(Options):
    """Options of the Kandinsky 2.2 back-end.

    Attributes:
        prior: directory or hub id of the prior, whose image encoder the decoder was trained with.
        prior_revision: branch, tag or commit of the prior's hub id.
    """

    prior: str = "hub:kandinsky-community/kandinsky-2-2-prior"
    prior_revision: str | None = None

    def locations(self) -> tuple[str, ...]:
        """That of the prior."""
        return (self.prior,)


class Kandinsky22(Encoded):
    """KandinskyV22Pipeline, through `image_embeds`; the negative embedding is that of an input of zeros.

    The decoder has no text encoder: prompts are not read.
    """

    carries: ClassVar[frozenset[str]] = frozenset({"embedding"})
    reads_prompt: ClassVar[bool] = False
    options: ClassVar[type[Options]] = KandinskyOptions
    pipeline: ClassVar[str] = "KandinskyV22Pipeline"
    accepts: ClassVar[frozenset[str]] = frozenset({"KandinskyV22Pipeline"})

    def _completed(self, pipe: Any, checkpoint: Checkpoint) -> Any:
        options = self._options_as(KandinskyOptions)
        self._prior = fetch(options.prior, options.prior_revision, options)
        refuse_pickles(self._prior, ["image_encoder"], options)
        folder, processor = self._prior / "image_encoder", self._prior / "image_processor"
        self._encoder = load_encoder(folder, processor, self.dtype, options)
        self._encoder.net.to(self.device)
        self._negative = self._encoder.of_zeros()
        return pipe

    def _more_facts(self) -> dict[str, Any]:
        options = self._options_as(KandinskyOptions)
        parts = [digest(self._prior / part) for part in ("image_encoder", "image_processor")]
        return {
            "prior": {"name": options.prior, "revision": options.prior_revision, "digest": parts},
            "reads-prompt": False,
        }

    def _condition(self, request: Request) -> dict[str, Any]:
        embeds = self._tensor(needs(request.embeds, "an embedding", self))
        return {"image_embeds": embeds, "negative_image_embeds": self._negative.expand(len(embeds), -1)}
