"""Vision-language models: words and answers against the network itself, alone and beside any neighbours."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from augforge.errors import ModelError
from augforge.models.find import find_model
from augforge.models.vision_language import (
    VisionLanguage,
    _turn,
    answer_shares,
    first_tokens,
    printable_words,
)
from tests.tiny_vision_language import TINY

CHATS = ("qwen2.5-vl", "idefics3")
QUESTIONS = ["is it a cat?", "is it a dog, a very large one, seen from the side?", "red?"]
SIZES = ((32, 32), (40, 60), (32, 90))
TOLERANCE = 2e-6  # sums of 32-bit floats in another order


def pictures() -> list[Image.Image]:
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(0, 255, (*size, 3), dtype=np.uint8)) for size in SIZES]


@pytest.fixture(scope="session")
def opened(tmp_path_factory):
    """Opens the tiny model of a kind, once each."""
    folder, known = tmp_path_factory.mktemp("vision-language"), {}

    def of(kind: str) -> VisionLanguage:
        if kind not in known:
            known[kind] = VisionLanguage(find_model(str(TINY[kind](folder / kind)), "image-text-to-text"), "cpu")
        return known[kind]

    return of


def alone(model: VisionLanguage, image: Image.Image, text: str):
    """What the processor makes of one image and its text, without any padding."""
    return model._processor.apply_chat_template(
        _turn(image, text), add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )


def by_hand(model: VisionLanguage, image: Image.Image, question: str) -> float:
    """exp(yes) / (exp(yes) + exp(no)), both spellings of each summed, from one forward pass of the network."""
    import torch

    with torch.inference_mode():
        logits = model._net(**alone(model, image, question)).logits[0, -1].double().numpy()
    ids = model._processor.tokenizer
    yes, no = (
        sum(np.exp(logits[token]) for token in {ids(word).input_ids[0] for word in words})
        for words in (("yes", "Yes"), ("no", "No"))
    )
    return yes / (yes + no)


@pytest.mark.parametrize("kind", CHATS)
def test_the_probability_of_yes_is_that_of_the_first_token_that_the_network_gives(opened, kind):
    model = opened(kind)
    expected = [by_hand(model, *pair) for pair in zip(pictures(), QUESTIONS, strict=True)]
    assert np.ptp(expected) > 0.01
    assert np.allclose(model.ask(pictures(), QUESTIONS), expected, atol=TOLERANCE)


@pytest.mark.parametrize("kind", CHATS)
def test_words_are_those_that_the_network_finds_likeliest_one_after_the_other(opened, kind):
    import torch

    model, prompt = opened(kind), "what is it?"
    inputs = alone(model, pictures()[1], prompt)
    told = []
    with torch.inference_mode():
        while len(told) < 6:
            token = int(model._net(**inputs).logits[0, -1].argmax())
            if token == model._net.generation_config.eos_token_id:
                break
            told.append(token)
            inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([[token]])], dim=1)
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
            if "mm_token_type_ids" in inputs:
                more = torch.zeros((1, 1), dtype=inputs["mm_token_type_ids"].dtype)
                inputs["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], more], dim=1)
    words = printable_words(model._processor.batch_decode([told], skip_special_tokens=True)[0])
    assert model.describe(pictures(), prompt, 6)[1] == words


@pytest.mark.parametrize("kind", TINY)
def test_an_answer_does_not_depend_on_its_neighbours(opened, kind):
    model, images = opened(kind), pictures()
    together = model.ask(images, QUESTIONS)
    apart = [model.ask([image], [question])[0] for image, question in zip(images, QUESTIONS, strict=True)]
    assert np.allclose(together, apart, atol=TOLERANCE)
    assert np.allclose(model.ask(images[::-1], QUESTIONS[::-1]), together[::-1], atol=TOLERANCE)
    many = model.ask(images * 5, QUESTIONS * 5)
    assert np.allclose(many, np.tile(together, 5), atol=TOLERANCE)
    said = model.describe(images, "what is it?", 6)
    assert said == [model.describe([image], "what is it?", 6)[0] for image in images]
    assert model.describe(images * 5, "what is it?", 6) == said * 5


@pytest.mark.parametrize("kind", CHATS)
def test_padding_on_the_right_would_answer_for_the_padding(opened, kind, monkeypatch):
    model, images = opened(kind), pictures()
    right = model.ask(images, QUESTIONS)
    monkeypatch.setattr(model._processor.tokenizer, "padding_side", "right")
    assert np.abs(model.ask(images, QUESTIONS) - right).max() > 0.01


def test_a_model_that_knows_nothing_of_padding_is_asked_one_question_at_a_time(opened, monkeypatch):
    model, images = opened("blip"), pictures()
    expected = model.ask(images, QUESTIONS)
    monkeypatch.setattr(model, "_batches", lambda images, texts: [([0, 1, 2], model._inputs(images, texts))])
    assert np.abs(model.ask(images, QUESTIONS) - expected).max() > 0.01


def test_a_prompt_without_a_chat_template_begins_the_caption_and_may_be_absent(opened):
    model = opened("blip")
    assert all(words.startswith("a photo of") for words in model.describe(pictures(), "a photo of", 4))
    assert not any(words.startswith("a photo of") for words in model.describe(pictures(), "", 4))


def test_rows_of_fixed_logits_give_the_closed_form(opened, monkeypatch):
    model = opened("idefics3")
    ids = {word: model._processor.tokenizer(word).input_ids[0] for word in "yYnN12345"}
    logits = np.full((3, 600), -1.0)
    logits[:, ids["y"]], logits[:, ids["Y"]] = [2.0, 0.0, -3.0], [1.0, 0.0, -3.0]
    logits[:, ids["n"]], logits[:, ids["N"]] = [0.5, 0.0, 4.0], [0.0, 0.0, 2.0]
    logits[:, 7] = 9.0  # another word altogether is likelier than both, and does not count
    monkeypatch.setattr(model, "_first_logits", lambda inputs: logits)
    yes, no = np.exp(2) + np.exp(1), np.exp(0.5) + 1
    found = model.ask(pictures(), QUESTIONS)
    assert np.allclose(found[:2], [yes / (yes + no), 0.5], rtol=1e-12)
    one_spelling = np.exp(2) / (np.exp(2) + np.exp(0.5))
    assert abs(found[0] - one_spelling) > 1e-3  # the known wrong variant: only the first spelling
    assert 0 < found[2] < 0.002  # and the first word alone would say no, and nothing of how surely
    for number in range(1, 6):
        logits[:, ids[str(number)]] = np.log(number)
    assert np.allclose(model.rate(pictures(), QUESTIONS), sum(k * k for k in range(1, 6)) / 15, rtol=1e-12)


def test_shares_of_huge_logits_are_finite():
    logits = np.array([[1000.0, 999.0, -2000.0], [-5000.0, -5000.0, 0.0]])
    shares = answer_shares(logits, [[0], [1]])
    assert np.allclose(shares, [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))], [0.5, 0.5]])


def test_tokens_with_which_both_answers_begin_tell_nothing():
    known = {"yes": [1], "Yes": [2], " yes": [9, 1], " Yes": [9, 2], "no": [3], "No": [3], " no": [9, 3], " No": [4, 5]}
    tokenizer = lambda text, add_special_tokens: SimpleNamespace(input_ids=known[text])  # noqa: E731
    assert first_tokens(tokenizer, ("no", "yes")) == {"no": [3, 4], "yes": [1, 2]}
    alike = lambda text, add_special_tokens: SimpleNamespace(input_ids=[9, len(text)])  # noqa: E731
    with pytest.raises(ModelError, match="as it begins another answer"):
        first_tokens(alike, ("no", "yes"))


def test_what_cannot_be_printed_is_no_part_of_a_word():
    assert printable_words("\ta \x08 cat\n on\x00a mat ") == "a cat on a mat"


def test_a_directory_of_another_kind_of_model_is_refused(tiny_models):
    for task in ("depth-estimation", "image-embedding"):
        with pytest.raises(ModelError):
            VisionLanguage(find_model(tiny_models[task], "image-text-to-text"), "cpu")
