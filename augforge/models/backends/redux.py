"""Text and the tokens of images: Flux.1, whose text embeddings Redux continues with those of pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from augforge.errors import ModelError
from augforge.models.backends.base import Request
from augforge.models.backends.checkpoint import Checkpoint, find_checkpoint
from augforge.models.backends.diffusion import needs
from augforge.models.backends.encoded import Encoded
from augforge.models.backends.encoder import ImageEncoder
from augforge.models.backends.loading import load_pipeline
from augforge.models.backends.options import Options

if TYPE_CHECKING:
    pass

PRIOR = "FluxPriorReduxPipeline"


@dataclass(frozen=True, slots=True)
class ReduxOptions(Options):
    """Options of the Redux back-end.

    Attributes:
        prior: directory or hub id of the Redux prior, with the SigLIP encoder and what makes tokens of its features.
        prior_revision: branch, tag or commit of the prior's hub id.
    """

    prior: str = "hub:black-forest-labs/FLUX.1-Redux-dev"
    prior_revision: str | None = None

    def locations(self) -> tuple[str, ...]:
        """That of the prior."""
        return (self.prior,)


class Tokens(ImageEncoder):
    """The tokens that Redux makes of an image, (T, D) as one vector of T * D, where Flux's text embeddings are too."""

    def __init__(self, prior: Any) -> None:
        super().__init__(prior.image_encoder, prior.feature_extractor)
        self._prior = prior

    @property
    def width(self) -> int:
        """T * D, tokens of an image times features of a token."""
        config = self.net.config
        return int((config.image_size // config.patch_size) ** 2 * self._prior.image_embedder.redux_down.out_features)

    def _encode(self, pixels: Any) -> Any:
        features = self.net(pixels.to(self.net.device, self.net.dtype)).last_hidden_state
        return self._prior.image_embedder(features).image_embeds.flatten(1)


class Redux(Encoded):
    """FluxPipeline, through `prompt_embeds`: those of the text, then the tokens of one image or of several.

    FluxPriorReduxPipeline itself adds up the images of a call into one prompt, weighted by its `prompt_embeds_scale`;
    a mix of embeddings by `lam` is that sum. Here every row of a batch has a prompt and images of its own.
    """

    carries: ClassVar[frozenset[str]] = frozenset({"embedding"})
    refers_to_several: ClassVar[bool] = True
    options: ClassVar[type[Options]] = ReduxOptions
    pipeline: ClassVar[str] = "FluxPipeline"
    accepts: ClassVar[frozenset[str]] = frozenset({"FluxPipeline"})

    def _completed(self, pipe: Any, checkpoint: Checkpoint) -> Any:
        import diffusers

        options = self._options_as(ReduxOptions)
        where = replace(options, revision=options.prior_revision, variant=None)
        self._prior = find_checkpoint(options.prior, where)
        prior: Any = load_pipeline(
            self._prior, getattr(diffusers, PRIOR), self.dtype, where, accepts=frozenset({PRIOR})
        )
        self._encoder = Tokens(prior.to(self.device))
        made, wanted = prior.image_embedder.redux_down.out_features, pipe.transformer.config.joint_attention_dim
        if made != wanted:
            raise ModelError(
                f"the prior {options.prior!r} makes tokens of {made} features, and this model reads {wanted}",
                "give the prior that was trained for it",
            )
        return pipe

    def _more_facts(self) -> dict[str, Any]:
        return {"prior": self._prior.facts}

    def check(self, request: Request) -> None:
        """ModelError where the request has no embeddings, or negative prompts."""
        super().check(request)
        needs(request.embeds, "an embedding", self)
        if any(request.negatives):
            raise ModelError(f"{type(self).__name__} takes no negative prompt", "leave `negative` out")

    def _condition(self, request: Request) -> dict[str, Any]:
        import torch

        texts = self._prompts.arguments(request)["prompt_embeds"]
        embeds = self._tensor(needs(request.embeds, "an embedding", self))
        tokens = embeds.reshape(len(request), -1, texts.shape[-1]) * request.scale
        return {"prompt_embeds": torch.cat([texts, tokens], dim=1)}
