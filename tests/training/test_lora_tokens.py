"""New words: gradients in their embeddings alone, and a generator that knows them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from augforge.errors import ModelError, RecipeError
from augforge.models import find_model
from augforge.models.backends import backend_class
from augforge.models.directory import read_record
from augforge.recipe import build_stage
from augforge.training.lora.task import replaced
from augforge.training.lora.tokens import Tokens
from tests.training.test_lora import TINY, task, trained

WORDS = {"<cat>": "cat", "<dog>": "dog"}
NEW = replace(TINY, prompts={"cat": "a photo of a <cat>", "dog": "a photo of a <dog>"}, words=WORDS)


def test_a_word_begins_as_the_mean_of_what_it_stands_for(tiny_unclip):
    backend = backend_class("unclip")(str(tiny_unclip), "cpu", "fp32")
    tokenizer, encoder = backend.pipe.tokenizer, backend.pipe.text_encoder
    before = encoder.get_input_embeddings().weight.detach().clone()
    numbers = tokenizer("cat", add_special_tokens=False).input_ids
    tokens = Tokens(backend.pipe, WORDS)
    assert torch.allclose(tokens.rows[0], before[numbers].mean(0), atol=1e-6)
    (number,) = tokenizer("<cat>", add_special_tokens=False).input_ids
    table = encoder.get_input_embeddings()
    assert torch.equal(table(torch.tensor([[number, 3]]))[0, 0], tokens.rows[0])
    assert torch.equal(table(torch.tensor([[number, 3]]))[0, 1], before[3])
    with pytest.raises(ModelError, match="knows one of <cat>, <dog> already"):
        Tokens(backend.pipe, WORDS)


def test_only_the_words_of_a_step_learn(tiny_unclip):
    learning = task(str(tiny_unclip), options=replace(NEW, per="class"))
    encoder = {name: w.detach().clone() for name, w in learning.backend.pipe.text_encoder.named_parameters()}
    rows = [row.detach().clone() for row in learning.tokens.rows]
    for step in (1, 3):
        learning.step(learning.batch_at(step, np.random.default_rng(step)))  # of dogs
    assert torch.equal(learning.tokens.rows[0], rows[0]) and not torch.equal(learning.tokens.rows[1], rows[1])
    assert learning.tokens.rows[0].grad is None
    for name, weight in learning.backend.pipe.text_encoder.named_parameters():
        assert torch.equal(weight, encoder[name]) and weight.grad is None, name
    with learning.disabled():
        assert learning._judged() == task(str(tiny_unclip), options=replace(NEW, per="class")).measure()["without"]


def test_a_generator_knows_the_words(tiny_unclip, tmp_path):
    learning, _ = trained(str(tiny_unclip), tmp_path, steps=6, options=replace(NEW, rate=0.1))
    assert read_record(tmp_path)["facts"]["words"] == list(WORDS)
    learnt = load_file(tmp_path / "learned_embeds.safetensors")
    assert set(learnt) == set(WORDS)
    found = backend_class("unclip")
    loras = ((find_model(str(tmp_path), "lora"), 1.0),)
    backend = found(str(tiny_unclip), "cpu", "fp32", found.read_options({"loras": loras}))
    table, tokenizer = backend.pipe.text_encoder.get_input_embeddings(), backend.pipe.tokenizer
    for word, row in learnt.items():
        (number,) = tokenizer(word, add_special_tokens=False).input_ids
        assert torch.equal(table.weight[number], row)
    replaced(learning._weights, learning._best["weights"])  # those that were written
    with torch.no_grad():
        own = learning.denoiser.rows(["a photo of a <cat>"], do_classifier_free_guidance=False)[0][0]
        theirs = backend.pipe.encode_prompt("a photo of a <cat>", "cpu", 1, False)[0]
    assert torch.allclose(own, theirs, atol=1e-6)


def test_what_learns_no_words_says_so():
    with pytest.raises(RecipeError, match="is not in the prompt"):
        build_stage("train", "lora", {"token": "<{label}>"})
    with pytest.raises(RecipeError, match="in one process"):
        build_stage("train", "lora", {"token": "<{label}>", "prompt": "a <{label}>", "processes": 2})
    assert build_stage("train", "lora", {"token": "<{label}>", "prompt": "a <{label}>, a kind of {label}"})


def test_the_sheet_shows_what_the_words_became(tiny_unclip):
    """Prompts are encoded once, unless what encodes them has changed."""
    learning = task(str(tiny_unclip), count=1, options=replace(NEW, words={"<dog>": "dog"}))
    before = learning.made([0], [1])[0]
    with torch.no_grad():
        learning.tokens.rows[0].normal_(std=5.0)
    assert (learning.made([0], [1])[0] != before).any()
    with learning.disabled():
        assert (learning.made([0], [1])[0] == before).all()
