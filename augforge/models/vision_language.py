"""The adapter for vision-language models of transformers: they describe images, and answer questions about them.

Whatever `AutoModelForImageTextToText` loads: those with a chat template (Qwen2-VL to Qwen3-VL, SmolVLM, Idefics 3) are
asked in a conversation, those without one (BLIP, BLIP-2, Florence-2) are given the prompt as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from augforge.errors import ModelError
from augforge.models.devices import pick_device, setting
from augforge.models.pretrained import open_pretrained, word_dtype
from augforge.models.table import Model
from augforge.optional import require

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

BATCH = 8
"""Images at a time: fixed and padded, so that an answer never depends on how many were asked for."""
YES_NO = ("no", "yes")
RATINGS = ("1", "2", "3", "4", "5")
Numbers = NDArray[np.float64]


class VisionLanguage:
    """A vision-language model. Its answers are greedy: the same image and prompt give the same words.

    Rows are padded on the left, so that the next word follows the prompt and not its padding, whatever prompts are in
    the same batch; those of an encoder-decoder, whose encoder counts positions from the left, on the right. A model
    without a chat template may know nothing of padding at all: it is given rows of one prompt at a time.

    Args:
        model: the row of the model.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        dtype: "fp32", "fp16" or "bf16"; "auto" is bf16 on CUDA, else fp32.

    Raises:
        ModelError: it cannot be loaded.
    """

    def __init__(self, model: Model, device: str = "auto", dtype: str = "auto") -> None:
        require("torch", "transformers")
        self.device = pick_device(device)
        self.dtype = word_dtype(self.device, dtype)
        opened = open_pretrained(model, "vision-language model", lambda folder: _load(folder, self.dtype))
        self._processor, self._net = opened
        self._net.to(self.device).eval()
        self._chats = getattr(self._processor, "chat_template", None) is not None
        tokenizer = self._processor.tokenizer
        tokenizer.padding_side = "right" if self._net.config.is_encoder_decoder else "left"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.facts = {"model": model.facts(), **setting(self.device, self.dtype, "transformers")}

    def describe(self, images: Sequence[Image], prompt: str, longest: int = 64) -> list[str]:
        """The words (n,) that the model finds for n RGB images, asked by `prompt`: at most `longest` tokens each."""
        said = [""] * len(images)
        for places, inputs in self._batches(images, [prompt] * len(images)):
            tokens = self._generate(inputs, max_new_tokens=longest)
            answers = _without_prompt(tokens, inputs.get("input_ids"))[: len(places)]
            texts = self._processor.batch_decode(answers, skip_special_tokens=True)
            for place, text in zip(places, texts, strict=True):
                said[place] = printable_words(text)
        return said

    def ask(self, images: Sequence[Image], questions: Sequence[str]) -> Numbers:
        """(n,) the probability, in [0, 1], that the answer to each image's question begins with yes and not with no."""
        return self._shares(images, questions, YES_NO)[:, 1]

    def rate(self, images: Sequence[Image], questions: Sequence[str]) -> Numbers:
        """(n,) the expected answer, in [1, 5], to each image's question that asks for a number from 1 to 5."""
        return self._shares(images, questions, RATINGS) @ np.arange(1.0, 6.0)

    def _shares(self, images: Sequence[Image], questions: Sequence[str], answers: Sequence[str]) -> Numbers:
        """(n, k) how probable each of k answers is among them, by the logits of the first token of the answer."""
        tokens = first_tokens(self._processor.tokenizer, answers)
        shares = np.zeros((len(images), len(answers)))
        for places, inputs in self._batches(images, questions):
            shares[places] = answer_shares(self._first_logits(inputs), list(tokens.values()))[: len(places)]
        return shares

    def _first_logits(self, inputs: Mapping[str, Any]) -> Numbers:
        """(b, v) the logits of the first token that would follow."""
        told = self._generate(inputs, max_new_tokens=1, output_logits=True, return_dict_in_generate=True)
        found: Numbers = told.logits[0].double().cpu().numpy()
        return found

    def _generate(self, inputs: Mapping[str, Any], **how: Any) -> Any:
        import torch

        with torch.inference_mode():
            return self._net.generate(**inputs, do_sample=False, num_beams=1, **how)

    def _batches(self, images: Sequence[Image], texts: Sequence[str]) -> Iterator[tuple[list[int], Any]]:
        """Batches of one size, the last row repeated where there are fewer: the places of the rows, and the inputs."""
        groups: dict[str, list[int]] = {}
        for place, text in enumerate(texts):
            groups.setdefault("" if self._chats else text, []).append(place)
        for group in groups.values():
            for start in range(0, len(group), BATCH):
                places = group[start : start + BATCH]
                full = places + [places[-1]] * (BATCH - len(places))
                inputs = self._inputs([images[place] for place in full], [texts[place] for place in full])
                yield places, inputs.to(self.device, self.dtype)

    def _inputs(self, images: list[Image], texts: list[str]) -> Any:
        """What the network is given of images and the texts that are asked about them."""
        if not self._chats:
            given = texts if any(texts) else None
            return self._processor(images=images, text=given, padding=True, return_tensors="pt")
        return self._processor.apply_chat_template(
            [_turn(image, text) for image, text in zip(images, texts, strict=True)],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        )


def printable_words(text: str) -> str:
    """The words of a text with one space between them; what cannot be printed counts as a space."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def first_tokens(tokenizer: Any, answers: Sequence[str]) -> dict[str, list[int]]:
    """The tokens by which each answer can begin: of the word in small letters and capitalised, with a space or without.

    A token by which two of the answers can begin, such as that of a space alone, tells nothing and is left out.

    Raises:
        ModelError: an answer has no token of its own.
    """
    found = {answer: _beginnings(tokenizer, answer) for answer in answers}
    times = Counter(chain.from_iterable(found.values()))
    own = {answer: sorted(token for token in tokens if times[token] == 1) for answer, tokens in found.items()}
    lacking = next((answer for answer, tokens in own.items() if not tokens), None)
    if lacking is not None:
        raise ModelError(f"the model's tokenizer begins {lacking!r} as it begins another answer", "ask another model")
    return own


def _beginnings(tokenizer: Any, answer: str) -> set[int]:
    """The tokens by which an answer can begin."""
    spellings = [space + word for space in ("", " ") for word in (answer, answer.capitalize())]
    ids = [tokenizer(spelling, add_special_tokens=False).input_ids for spelling in spellings]
    return {tokens[0] for tokens in ids if tokens}


def answer_shares(logits: Numbers, tokens: Sequence[Sequence[int]]) -> Numbers:
    """(n, k) the probabilities of k answers, among them, from logits (n, v): those of the `tokens` of each are summed.

    exp(logsumexp over an answer's tokens) by the sum of that over all answers; what other tokens get does not count.
    """
    from scipy.special import logsumexp, softmax

    each = np.stack([logsumexp(logits[:, list(ids)], axis=1) for ids in tokens], axis=1)
    shares: Numbers = softmax(each, axis=1)
    return shares


def _load(folder: Path, dtype: Any) -> tuple[Any, Any]:
    """The processor and the network in a directory; ValueError where tensors are missing."""
    import transformers

    processor = transformers.AutoProcessor.from_pretrained(folder)
    net, info = transformers.AutoModelForImageTextToText.from_pretrained(
        folder, dtype=dtype, use_safetensors=True, output_loading_info=True
    )
    if missing := sorted(info["missing_keys"]):
        raise ValueError(f"{len(missing)} of its tensors are missing, {missing[0]} for one")
    return processor, net


def _turn(image: Image, text: str) -> list[dict[str, Any]]:
    """A conversation that shows an image and asks about it."""
    return [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": text}]}]


def _without_prompt(tokens: Tensor, prompt: Tensor | None) -> Tensor:
    """(n, k) what was generated: decoders repeat the tokens of the prompt (n, p) before it."""
    if prompt is None or tokens.shape[1] < prompt.shape[1]:
        return tokens
    length = prompt.shape[1]
    return tokens[:, length:] if bool((tokens[:, :length] == prompt).all()) else tokens
