"""Captioners: stages that say in words what images show."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from augforge.data.sample import OnOption
from augforge.stages.stage import Stage

if TYPE_CHECKING:
    from PIL.Image import Image

Describe = Callable[[Sequence["Image"]], list[str]]
"""Gives the words (n,) of n RGB images; "" for none."""


class Captioner(Stage):
    """Gives images a caption, which prompts, exports and the report use; no image is dropped for want of words."""

    verb: ClassVar[str] = "caption"
    decision_options: ClassVar[frozenset[str]] = frozenset({"on", "anew"})

    on: OnOption = Field(default="real", description="Describe all images, or only the synthetic or the real ones.")
    anew: bool = Field(default=False, description="Describe images that have a caption, too, in place of it.")

    @abstractmethod
    def about(self) -> dict[str, str]:
        """What is recorded of each caption: the model, the digest of its weights, and what it was asked."""

    @abstractmethod
    def load(self, device: str) -> Describe:
        """Load the model on `device` ("auto", "cpu", "cuda", "cuda:N", "mps")."""
