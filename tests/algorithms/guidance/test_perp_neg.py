"""Perp-Neg: the laws of the formula, that known wrong forms break them, and what a pipeline makes of it."""

from __future__ import annotations

import math
import sys

import diffusers
import pytest
import torch

from augforge.algorithms.guidance import perp_neg, perp_neg_direction, perp_neg_guidance
from tests.algorithms.guidance.conftest import draw

PIPES = ["sd", "sd_img2img", "sdxl", "unclip"]


def predictions(rows=2, negatives=2, seed=0):
    random = torch.Generator().manual_seed(seed)
    parts = [torch.randn(rows, 4, 6, 5, generator=random) for _ in range(2 + negatives)]
    return parts[0], parts[1], parts[2:]


def dot(left, right):
    return (left.double() * right.double()).sum((1, 2, 3))


def projected_over_the_batch(unconditional, positive, negatives, weights):
    """Wrong: one coefficient for all samples, so that a picture depends on its neighbours."""
    along = positive - unconditional
    direction = along
    for negative, weight in zip(negatives, weights, strict=True):
        away = negative - unconditional
        direction = direction - abs(weight) * (away - (away * along).sum() / along.square().sum() * along)
    return direction


def first_weight_for_all(unconditional, positive, negatives, weights):
    """Wrong: the fault of the released code."""
    return perp_neg_direction(unconditional, positive, negatives, [weights[0]] * len(negatives))


def plain_difference(unconditional, positive, negatives, weights):
    """Wrong: takes away what the negative shares with the positive, too."""
    direction = positive - unconditional
    for negative, weight in zip(negatives, weights, strict=True):
        direction = direction - abs(weight) * (negative - unconditional)
    return direction


def strength_error(direction_of):
    """How far <direction, d_p> / <d_p, d_p> is from 1."""
    unconditional, positive, negatives = predictions()
    along = positive - unconditional
    direction = direction_of(unconditional, positive, negatives, [1.5, 0.5])
    return float((dot(direction, along) / dot(along, along) - 1).abs().max())


def parallel_error(direction_of):
    """How much a negative parallel to the positive changes."""
    unconditional, positive, _ = predictions()
    along = positive - unconditional
    direction = direction_of(unconditional, positive, [unconditional + 3 * along, unconditional - along], [1.5, 0.5])
    return float((direction - along).abs().max())


def batch_error(direction_of):
    """How far a batch of two is from two batches of one."""
    unconditional, positive, negatives = predictions()
    both = direction_of(unconditional, positive, negatives, [1.5, 0.5])
    alone = [
        direction_of(unconditional[i : i + 1], positive[i : i + 1], [n[i : i + 1] for n in negatives], [1.5, 0.5])
        for i in range(2)
    ]
    return float((both - torch.cat(alone)).abs().max())


def weight_error(direction_of):
    """How far two negatives are from what each of them takes away alone."""
    unconditional, positive, (one, two) = predictions()
    along = positive - unconditional
    apart = sum(
        direction_of(unconditional, positive, [negative], [weight]) - along for negative, weight in [(one, 1), (two, 3)]
    )
    return float((direction_of(unconditional, positive, [one, two], [1, 3]) - along - apart).abs().max())


@pytest.mark.parametrize(
    ("error", "wrong"),
    [
        (strength_error, plain_difference),
        (strength_error, projected_over_the_batch),
        (parallel_error, plain_difference),
        (batch_error, projected_over_the_batch),
        (weight_error, first_weight_for_all),
    ],
)
def test_the_formula_obeys_its_laws_and_wrong_forms_do_not(error, wrong):
    assert error(perp_neg_direction) < 1e-5
    assert error(wrong) > 1e-2


def test_the_formula_is_the_published_one():
    unconditional, positive, negatives = predictions(rows=1)
    weights = [1.5, -0.5]
    u, p = unconditional.flatten().double(), positive.flatten().double()
    along = p - u
    expected = along.clone()
    for negative, weight in zip(negatives, weights, strict=True):
        away = negative.flatten().double() - u
        expected -= abs(weight) * (away - torch.dot(away, along) / torch.dot(along, along) * along)
    result = perp_neg(unconditional, positive, negatives, weights, scale=7.5).flatten().double()
    torch.testing.assert_close(result, u + 7.5 * expected, rtol=1e-5, atol=1e-5)


def test_no_weight_is_plain_guidance():
    unconditional, positive, negatives = predictions()
    assert torch.equal(perp_neg_direction(unconditional, positive, negatives, [0, 0]), positive - unconditional)
    assert torch.equal(perp_neg_direction(unconditional, positive, [], []), positive - unconditional)


def test_a_positive_that_says_nothing_leaves_all_of_the_negative():
    unconditional, _, (negative, _) = predictions()
    direction = perp_neg_direction(unconditional, unconditional, [negative], [2])
    torch.testing.assert_close(direction, -2 * (negative - unconditional))


def test_half_precision_is_computed_in_single():
    unconditional, positive, negatives = predictions(rows=1)
    half = [part.half() * 60 for part in (unconditional, positive, *negatives)]  # |d_p|^2 is beyond float16
    assert float((half[1] - half[0]).float().square().sum()) > torch.finfo(torch.float16).max
    direction = perp_neg_direction(half[0], half[1], half[2:], [1, 1])
    expected = perp_neg_direction(*(part.double() for part in half[:2]), [part.double() for part in half[2:]], [1, 1])
    assert direction.dtype == torch.float32
    assert expected.dtype == torch.float64
    torch.testing.assert_close(direction.double(), expected, rtol=1e-4, atol=1e-3)
    assert perp_neg(half[0], half[1], half[2:], [1, 1]).dtype == torch.float16


def test_every_negative_needs_a_weight():
    unconditional, positive, negatives = predictions()
    with pytest.raises(ValueError):
        perp_neg_direction(unconditional, positive, negatives, [1])


@pytest.fixture(params=PIPES)
def pipe(request):
    return request.getfixturevalue(request.param)


def test_a_weight_of_0_is_the_plain_pipeline(pipe):
    plain = draw(pipe)
    for negatives in ([], [("a dog", 0.0)]):
        with perp_neg_guidance(pipe, negatives):
            assert torch.equal(draw(pipe), plain)
    with perp_neg_guidance(pipe, [("a dog", 1e-9)]):  # asks for the negative, unlike 0
        torch.testing.assert_close(draw(pipe), plain, rtol=1e-5, atol=1e-5)


def test_a_weight_changes_the_picture_and_is_gone_after_the_block(pipe):
    plain = draw(pipe)
    with perp_neg_guidance(pipe, [("a dog", 1.5)]):
        guided = draw(pipe)
    assert (guided - plain).abs().max() > 1e-3
    assert torch.equal(draw(pipe), plain)


@pytest.fixture
def exact(pipe):
    """The pipeline in double precision: in single, the plain one already differs by 1e-5 between batch sizes."""
    yield pipe.to(torch.float64)
    pipe.to(torch.float32)


def guided_batch_error(pipe):
    with perp_neg_guidance(pipe, [("a dog", 1.5), ("rain", 0.5)]):
        both = draw(pipe, seeds=(1, 2))
        alone = torch.cat([draw(pipe, seeds=(seed,)) for seed in (1, 2)])
    return float((both - alone).abs().max())


def test_a_batch_of_two_is_two_of_one(exact, monkeypatch):
    assert guided_batch_error(exact) < 1e-6
    monkeypatch.setattr(sys.modules[perp_neg.__module__], "perp_neg_direction", projected_over_the_batch)
    assert guided_batch_error(exact) > 1e-4


def test_the_negative_prompt_of_the_pipeline_itself_changes_nothing(pipe):
    plain = draw(pipe)
    with perp_neg_guidance(pipe, [("low", 1.5)]):
        torch.testing.assert_close(draw(pipe), plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["sd", "sd_img2img", "sdxl"])
def test_the_prompt_itself_is_parallel_and_changes_nothing(name, request):
    pipe = request.getfixturevalue(name)
    plain = draw(pipe)
    with perp_neg_guidance(pipe, [("a cat", 1.5)]):
        torch.testing.assert_close(draw(pipe), plain, rtol=1e-4, atol=1e-4)


def test_the_denoiser_returns_the_formula_of_separate_predictions(pipe):
    """The watching hook comes first, so it sees the plain prediction for the batch, then those for the negatives."""
    calls = []
    watch = pipe.unet.register_forward_hook(
        lambda unet, args, kwargs, output: calls.append((args, kwargs, output[0])), with_kwargs=True
    )
    with perp_neg_guidance(pipe, [("a dog", 1.5), ("rain", 0.5)]), torch.inference_mode():
        draw(pipe, seeds=(1, 2), num_inference_steps=2)
        watch.remove()
        (args, kwargs, plain), *asked = calls[:3]
        guided = pipe.unet(*args, **kwargs)[0]
    unconditional, positive = plain.chunk(2)
    negatives = [alone(pipe, args, kwargs, text) for text in ("a dog", "rain")]
    expected = perp_neg(unconditional, positive, negatives, [1.5, 0.5])
    torch.testing.assert_close(guided, torch.cat([unconditional, expected]), rtol=1e-4, atol=1e-5)
    for (_, _, prediction), negative in zip(asked, negatives, strict=True):
        torch.testing.assert_close(prediction, negative, rtol=1e-4, atol=1e-5)


def alone(pipe, args, kwargs, text):
    """The predictions (2, 4, 16, 16) for a text, row by row, with all else as for the unconditional rows."""
    encoded = pipe.encode_prompt(
        text, device=torch.device("cpu"), num_images_per_prompt=1, do_classifier_free_guidance=False
    )
    predictions = []
    for row in range(2):
        inputs = {"encoder_hidden_states": encoded[0]}
        if kwargs.get("class_labels") is not None:
            inputs["class_labels"] = kwargs["class_labels"][row : row + 1]
        if kwargs.get("added_cond_kwargs"):
            times = kwargs["added_cond_kwargs"]["time_ids"][row : row + 1]
            inputs["added_cond_kwargs"] = {"text_embeds": encoded[2], "time_ids": times}
        with torch.inference_mode():
            predictions.append(pipe.unet(args[0][row : row + 1], args[1], **inputs)[0])
    return torch.cat(predictions)


def test_one_more_call_of_half_the_rows_for_each_distinct_text(sd):
    rows = []
    watch = sd.unet.conv_in.register_forward_pre_hook(lambda layer, args: rows.append(len(args[0])))
    try:
        with perp_neg_guidance(sd, [("a dog", 1.0), ("rain", 0.5), ("a dog", 0.5), ("sun", 0.0)]):
            draw(sd, seeds=(1, 2), num_inference_steps=1)
    finally:
        watch.remove()
    assert rows == [4, 2, 2]


def test_the_weights_of_equal_texts_add_up(sd):
    with perp_neg_guidance(sd, [("a dog", 1.0), ("a dog", -0.5)]):
        twice = draw(sd)
    with perp_neg_guidance(sd, [("a dog", 1.5)]):
        assert torch.equal(draw(sd), twice)


def test_a_text_is_encoded_once(sd, monkeypatch):
    asked = []
    encode = sd.encode_prompt

    def counted(prompt, device, num_images_per_prompt, do_classifier_free_guidance, **more):
        asked.append(prompt)
        return encode(prompt, device, num_images_per_prompt, do_classifier_free_guidance, **more)

    monkeypatch.setattr(sd, "encode_prompt", counted)
    with perp_neg_guidance(sd, [("a dog", 1.0), ("rain", 0.5), ("a dog", 0.5)]):
        assert asked == ["a dog", "rain"]


@pytest.mark.parametrize("seeds", [(1,), (1, 2)])
def test_without_guidance_there_is_nothing_to_be_perpendicular_to(pipe, seeds):
    with pytest.raises(ValueError, match="needs classifier-free guidance"), perp_neg_guidance(pipe, [("a dog", 1.5)]):
        draw(pipe, seeds=seeds, guidance_scale=1.0)
    assert not pipe.unet._forward_hooks


def test_an_error_in_the_block_leaves_no_hook(sd):
    plain = draw(sd)
    with pytest.raises(KeyError), perp_neg_guidance(sd, [("a dog", 1.5)]):
        raise KeyError
    assert not sd.unet._forward_hooks
    assert torch.equal(draw(sd), plain)


def test_an_error_in_a_call_for_a_negative_leaves_the_hook_in_order(sd):
    with perp_neg_guidance(sd, [("a dog", 1.5)]):
        guided = draw(sd)

        def failing(layer, args):
            if len(args[0]) == 1:
                raise MemoryError

        failure = sd.unet.conv_in.register_forward_pre_hook(failing)
        with pytest.raises(MemoryError):
            draw(sd)
        failure.remove()
        assert torch.equal(draw(sd), guided)


def test_a_call_that_wants_an_output_object_gets_one(sd):
    sample = torch.randn(1, 4, 16, 16).repeat(2, 1, 1, 1)
    text = torch.randn(2, 16, 32)
    draw(sd)  # with guidance, which the pipeline says of itself until its next call
    with perp_neg_guidance(sd, [("a dog", 1.5)]), torch.inference_mode():
        as_tuple = sd.unet(sample, 500, encoder_hidden_states=text, return_dict=False)
        as_object = sd.unet(sample, 500, text)
    assert torch.equal(as_object.sample, as_tuple[0])


@pytest.mark.parametrize("weight", [math.nan, math.inf])
def test_a_weight_is_a_finite_number(sd, weight):
    with pytest.raises(ValueError, match="'a dog'"), perp_neg_guidance(sd, [("a dog", weight)]):
        pass


class Unet(torch.nn.Module):
    """As much of a denoiser as the hook needs; keeps what it was given."""

    def __init__(self, channels=4):
        super().__init__()
        self.channels = channels
        self.given = []

    def forward(self, sample, timestep, encoder_hidden_states, extra=None, encoder_attention_mask=None, **more):
        self.given.append(extra)
        return (sample.mean(1, keepdim=True) + encoder_hidden_states.mean() + torch.zeros(1, self.channels, 1, 1),)


class Pipe:
    """A pipeline of a denoiser and an encoder of texts, without a property that tells about guidance."""

    device = torch.device("cpu")

    def __init__(self, unet=None, transformer=None):
        self.unet, self.transformer = unet, transformer

    def encode_prompt(self, prompt, prompt_2, prompt_3, device, num_images_per_prompt, do_classifier_free_guidance):
        random = torch.Generator().manual_seed(len(prompt))
        return torch.randn(1, 7, 32, generator=random), None, torch.randn(1, 64, generator=random), None


def test_every_tensor_as_long_as_the_batch_keeps_the_unconditional_rows():
    unet = Unet()
    sample, rows, whole = torch.randn(2, 4, 8, 8).repeat(2, 1, 1, 1), torch.arange(4), torch.arange(3)
    with perp_neg_guidance(Pipe(unet), [("a dog", 1.5)]):
        unet(sample, torch.tensor(500), torch.randn(4, 7, 32), extra={"a": [rows, (rows, whole)], "b": 0.5})
    asked = unet.given[1]
    assert asked["a"][0].tolist() == asked["a"][1][0].tolist() == [0, 1]
    assert asked["a"][1][1] is whole
    assert asked["b"] == 0.5


@pytest.mark.parametrize(
    ("channels", "more", "match"),
    [(4, {"encoder_attention_mask": torch.ones(2, 7)}, "text masks"), (8, {}, "variances")],
)
def test_text_masks_and_variances_are_refused(channels, more, match):
    unet = Unet(channels)
    sample = torch.randn(1, 4, 8, 8).repeat(2, 1, 1, 1)
    with perp_neg_guidance(Pipe(unet), [("a dog", 1.5)]), pytest.raises(ValueError, match=match):
        unet(sample, 500, torch.randn(2, 7, 32), **more)


def test_a_batch_of_three_prompts_is_refused():
    unet = Unet()
    sample = torch.randn(2, 4, 8, 8).repeat(3, 1, 1, 1)
    with perp_neg_guidance(Pipe(unet), [("a dog", 1.5)]), pytest.raises(ValueError, match="given 6 rows"):
        unet(sample, 500, torch.randn(6, 7, 32))


def test_the_transformer_of_stable_diffusion_3():
    torch.manual_seed(0)
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=16,
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=32,
        caption_projection_dim=32,
        pooled_projection_dim=64,
        pos_embed_max_size=32,
    ).eval()
    pipe = Pipe(transformer=transformer)
    sample, time = torch.randn(2, 4, 16, 16), torch.full((4,), 500.0)
    inputs = {"encoder_hidden_states": torch.randn(4, 9, 32), "pooled_projections": torch.randn(4, 64)}
    tokens, _, pooled, _ = pipe.encode_prompt("a dog", None, None, None, 1, False)
    with torch.inference_mode():
        plain = transformer(hidden_states=sample.repeat(2, 1, 1, 1), timestep=time, **inputs).sample
        negative = transformer(sample, tokens.expand(2, -1, -1), pooled.expand(2, -1), time[:2]).sample
        with perp_neg_guidance(pipe, [("a dog", 1.5)]):
            guided = transformer(hidden_states=sample.repeat(2, 1, 1, 1), timestep=time, **inputs).sample
    unconditional, positive = plain.chunk(2)
    expected = torch.cat([unconditional, perp_neg(unconditional, positive, [negative], [1.5])])
    torch.testing.assert_close(guided, expected)
    assert not torch.allclose(guided, plain, atol=1e-3)


def test_a_pipeline_without_a_denoiser_is_refused():
    with pytest.raises(ValueError, match="neither"), perp_neg_guidance(object(), [("a dog", 1.5)]):
        pass
