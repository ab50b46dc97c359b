"""Textual inversion (Gal et al., ICLR 2023): new words of a text encoder, whose embeddings are learnt.

DA-Fusion (ICLR 2024) learns one word of each class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from augforge.errors import ModelError


class Tokens:
    """New words of a CLIP text encoder and its tokenizer.

    A word has one embedding, (D,), which begins as the mean of the words that it is to stand for. The embeddings are
    parameters of their own, put in behind the encoder's table: gradients reach nothing else.

    Args:
        pipe: a pipeline with one text encoder.
        words: the new words, each with the words that it begins as.
    """

    def __init__(self, pipe: Any, words: Mapping[str, str]) -> None:
        tokenizer, encoder = pipe.tokenizer, pipe.text_encoder
        table = encoder.get_input_embeddings().weight.detach()
        begins = [tokenizer(text, add_special_tokens=False).input_ids for text in words.values()]
        self._first = [table[numbers].mean(0).float() for numbers in begins]
        self.words = list(words)
        if tokenizer.add_tokens(self.words) != len(self.words):
            raise ModelError(f"the text encoder knows one of {', '.join(self.words)} already", "choose another `token`")
        encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        self._numbers = tokenizer.convert_tokens_to_ids(self.words)
        self.rows = [nn.Parameter(first.clone()) for first in self._first]
        self._learnt = True
        encoder.get_input_embeddings().register_forward_hook(self._put_in)

    @contextmanager
    def disabled(self) -> Iterator[None]:
        """Meanwhile the words are what they began as."""
        self._learnt = False
        try:
            yield
        finally:
            self._learnt = True

    def state(self) -> dict[str, Tensor]:
        """The embeddings (D,) on the CPU, by their words."""
        return {word: row.detach().float().cpu().clone() for word, row in zip(self.words, self.rows, strict=True)}

    def _put_in(self, table: nn.Module, given: tuple[Tensor], found: Tensor) -> Tensor:
        """(b, l, D) what the table says, but for the new words; those that are not there get no gradient at all."""
        for place, number in enumerate(self._numbers):
            here = given[0] == number
            if bool(here.any()):
                row = self.rows[place] if self._learnt else self._first[place].to(found.device)
                found = torch.where(here[..., None], row.to(found.dtype), found)
        return found
