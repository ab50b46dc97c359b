"""A class and no text: DiT, which knows the classes of its training alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

from augforge.errors import ModelError, did_you_mean
from augforge.models.backends.base import Request
from augforge.models.backends.diffusion import Diffusion, needs


class ClassConditional(Diffusion):
    """DiTPipeline, through `class_labels`: the numbers that the checkpoint's `id2label` gives to the names of classes.

    One class may have several names there, separated by commas. It makes images of its own size only.
    """

    carries: ClassVar[frozenset[str]] = frozenset()
    reads_prompt: ClassVar[bool] = False
    pipeline: ClassVar[str] = "DiTPipeline"
    accepts: ClassVar[frozenset[str]] = frozenset({"DiTPipeline"})

    @property
    def labels(self) -> list[str]:
        """The names of the classes that it can make."""
        return list(self._pipe.labels)

    @property
    def native_size(self) -> tuple[int, int]:
        """(width, height) in px of all its images."""
        side = self.denoiser.config.sample_size * 2 ** (len(self._pipe.vae.config.block_out_channels) - 1)
        return side, side

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {_plain(name): number for name, number in self._pipe.labels.items()}

    def numbers(self, labels: Sequence[str]) -> list[int]:
        """What the checkpoint calls the classes; ModelError for one that it does not know."""
        for label in labels:
            if _plain(label) not in self._numbers:
                raise ModelError(f"this model knows no class {label!r}", did_you_mean(label, self.labels))
        return [self._numbers[_plain(label)] for label in labels]

    def check(self, request: Request) -> None:
        """ModelError for a class that the model does not know, and for another size than its own."""
        super().check(request)
        self.numbers(needs(request.labels, "a class", self))
        if request.size not in (None, self.native_size):
            side = self.native_size[0]
            raise ModelError(f"this model makes images of {side}x{side} px only", "leave width and height out")

    def _condition(self, request: Request) -> dict[str, Any]:
        return {"class_labels": self.numbers(request.labels or ())}


def _plain(name: str) -> str:
    """A name of a class as names are compared: capitals, underscores and spaces do not matter."""
    return " ".join(name.replace("_", " ").casefold().split())
