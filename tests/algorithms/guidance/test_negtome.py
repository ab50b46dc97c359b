"""Negative token merging: the laws of the push, that the released form breaks them, and what a pipeline makes of it."""

from __future__ import annotations

import diffusers
import pytest
import torch
from torch.nn.functional import normalize

from augforge.algorithms.guidance import encode_reference, negtome, perp_neg_guidance, push_away
from tests.algorithms.guidance.conftest import draw

TINY = {"alpha": 0.9, "threshold": -1.0, "t_range": (1000, 0), "min_side": 16}
"""At 16 x 16 latents the tiny UNet has its up-block self-attention at side 16; a random one has no like tokens."""


def features(rows=2, tokens=7, references=5, width=6, seed=0):
    random = torch.Generator().manual_seed(seed)
    return (
        torch.randn(rows, tokens, width, generator=random),
        torch.randn(1, references, width, generator=random),
    )


def released_form(tokens, reference, alpha, threshold):
    """Wrong: the maximum over the output tokens (axis 1), whose places are then read as those of reference tokens."""
    cosines = normalize(tokens, dim=-1) @ normalize(reference, dim=-1).transpose(1, 2)  # (b, n, m)
    best, nearest = cosines.max(dim=1)  # (b, m), a place among n
    rows = [ref[places] for ref, places in zip(reference.expand(len(tokens), -1, -1), nearest, strict=True)]
    pushed = (1 + alpha) * tokens - alpha * torch.stack(rows)
    return torch.where((best > threshold)[..., None], pushed, tokens)


def reference_order_error(push):
    tokens, reference = features(references=7)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    return float((push(tokens, reference, 0.9, 0.2) - push(tokens, reference[:, order], 0.9, 0.2)).abs().max())


def token_order_error(push):
    tokens, reference = features(references=7)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    return float(
        (push(tokens, reference, 0.9, 0.2)[:, order] - push(tokens[:, order], reference, 0.9, 0.2)).abs().max()
    )


@pytest.mark.parametrize("error", [reference_order_error, token_order_error])
def test_the_order_of_tokens_does_not_matter_except_in_the_released_form(error):
    assert error(push_away) < 1e-5
    assert error(released_form) > 1e-2


def test_the_released_form_needs_as_many_tokens_as_references():
    tokens, reference = features(tokens=7, references=5)
    assert push_away(tokens, reference, 0.9, 0.2).shape == tokens.shape
    with pytest.raises((IndexError, RuntimeError)):
        released_form(tokens, reference, 0.9, 0.2)


def test_each_token_leaves_its_nearest_reference_token():
    tokens, reference = features()
    pushed = push_away(tokens, reference, 0.9, 0.2)
    moved = 0
    for row, result in zip(tokens, pushed, strict=True):
        for token, there in zip(row, result, strict=True):
            cosines = [float(token @ other / token.norm() / other.norm()) for other in reference[0]]
            best = max(range(5), key=cosines.__getitem__)
            expected = (1 + 0.9) * token - 0.9 * reference[0, best] if cosines[best] > 0.2 else token
            torch.testing.assert_close(there, expected)
            moved += cosines[best] > 0.2
    assert 0 < moved < 14


def test_no_strength_a_threshold_of_1_and_the_tokens_themselves_change_nothing():
    tokens, reference = features()
    assert torch.equal(push_away(tokens, reference, 0.0, -1), tokens)
    assert torch.equal(push_away(tokens, 2 * tokens, 0.9, 1.0), tokens)  # cosines that rounding may lift above 1
    assert torch.equal(push_away(tokens, reference, 0.9, 1.5), tokens)
    assert torch.equal(push_away(tokens, tokens, 0.9, 0.5), tokens)


def test_rows_may_have_references_of_their_own():
    tokens, _ = features()
    reference = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(3))
    both = push_away(tokens, reference, 0.9, 0.2)
    alone = [push_away(tokens[i : i + 1], reference[i : i + 1], 0.9, 0.2) for i in range(2)]
    assert torch.equal(both, torch.cat(alone))
    assert push_away(tokens[:0], reference[:1], 0.9, 0.2).shape == (0, 7, 6)


def test_half_precision_stays_half():
    tokens, reference = features()
    assert push_away(tokens.half(), reference.half(), 0.9, 0.2).dtype == torch.float16


@pytest.mark.parametrize("shape", [(3, 5, 6), (1, 5, 4)])
def test_a_reference_has_the_shape_of_tokens(shape):
    with pytest.raises(ValueError, match="cannot be compared"):
        push_away(features()[0], torch.zeros(shape), 0.9, 0.2)


@pytest.fixture(params=["sd", "sd_img2img", "sdxl", "unclip"])
def pipe(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("guidance", [5.0, 1.0])
def test_all_but_the_first_picture_of_a_batch_change(pipe, guidance):
    plain = draw(pipe, seeds=(1, 2, 3), guidance_scale=guidance)
    with negtome(pipe, **TINY):
        pushed = draw(pipe, seeds=(1, 2, 3), guidance_scale=guidance)
    assert torch.equal(pushed[0], plain[0])
    assert ((pushed - plain)[1:].abs().amax((1, 2, 3)) > 1e-4).all()
    assert torch.equal(draw(pipe, seeds=(1, 2, 3), guidance_scale=guidance), plain)


@pytest.mark.parametrize(
    "change",
    [{"alpha": 0.0}, {"threshold": 1.0}, {"t_range": (5000, 4000)}, {"min_side": 17}],
)
def test_what_switches_it_off_is_bitwise_the_plain_pipeline(sd, change):
    plain = draw(sd, seeds=(1, 2))
    with negtome(sd, **TINY | change):
        assert torch.equal(draw(sd, seeds=(1, 2)), plain)


def test_a_batch_of_one_and_equal_pictures_are_unchanged(sd):
    plain = draw(sd)
    with negtome(sd, **TINY):
        assert torch.equal(draw(sd), plain)
        torch.testing.assert_close(draw(sd, seeds=(1, 1)), torch.cat([plain, plain]), rtol=1e-3, atol=1e-3)


def test_the_window_of_time_is_kept_at_both_ends(sd):
    sample, text = torch.randn(2, 4, 16, 16), torch.randn(2, 16, 32)
    with torch.inference_mode():
        plain = {time: sd.unet(sample, time, text)[0] for time in (801, 800, 500, 400, 399)}
        with negtome(sd, **TINY | {"t_range": (800, 400)}):
            pushed = {time: sd.unet(sample, torch.tensor(time), text)[0] for time in plain}
    assert [torch.equal(plain[time], pushed[time]) for time in plain] == [True, False, False, False, True]


def test_a_trajectory_is_the_plain_one_until_the_window(sd):
    latents = {}

    def keep(name):
        def callback(_, step, time, given):
            latents[name, step] = given["latents"].clone()
            return given

        return callback

    draw(sd, seeds=(1, 2), callback_on_step_end=keep("plain"))
    time = float(sd.scheduler.timesteps[1])
    with negtome(sd, **TINY | {"t_range": (time, time)}):
        draw(sd, seeds=(1, 2), callback_on_step_end=keep("pushed"))
    assert torch.equal(latents["plain", 0], latents["pushed", 0])
    assert not torch.equal(latents["plain", 1], latents["pushed", 1])


def test_the_halves_are_kept_apart(sd):
    """A guided batch is what the unconditional and the conditional batch are by themselves."""
    torch.manual_seed(5)
    sample, text = torch.randn(2, 4, 16, 16), torch.randn(4, 16, 32)
    draw(sd)  # with guidance, which the pipeline says of itself until its next call
    with negtome(sd, **TINY), torch.inference_mode():
        both = sd.unet(sample.repeat(2, 1, 1, 1), 500, text)[0]
        apart = [sd.unet(sample, 500, half)[0] for half in text.chunk(2)]
    torch.testing.assert_close(both, torch.cat(apart), rtol=1e-5, atol=1e-5)


def test_only_up_blocks_are_touched_and_nothing_is_left(sd):
    processors = dict(sd.unet.attn_processors)
    with pytest.raises(KeyError), negtome(sd, **TINY):
        hooked = [name for name, module in sd.unet.named_modules() if module._forward_hooks]
        assert hooked
        assert all(name.startswith("up_blocks.") and name.endswith("attn1") for name in hooked)
        raise KeyError
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in sd.unet.modules())
    assert sd.unet.attn_processors == processors


@pytest.fixture
def reference():
    """One whose best matches are clear: where two are nearly alike, the last bits of a batch decide between them."""
    return torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(3))


def test_a_given_reference_pushes_every_picture_and_each_by_itself(pipe, reference):
    plain = draw(pipe, seeds=(1, 2))
    with negtome(pipe, **TINY, reference=reference):
        both = draw(pipe, seeds=(1, 2))
        alone = torch.cat([draw(pipe, seeds=(seed,)) for seed in (1, 2)])
    assert ((both - plain).abs().amax((1, 2, 3)) > 1e-4).all()
    torch.testing.assert_close(both, alone, rtol=1e-4, atol=1e-4)


def test_a_given_reference_is_deterministic_and_depends_on_its_seed(sd, reference):
    def drawn(seed):
        with negtome(sd, **TINY, reference=reference, seed=seed):
            return draw(sd)

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))


def test_a_given_reference_outside_the_window_is_bitwise_the_plain_pipeline(sd, reference):
    plain = draw(sd)
    with negtome(sd, **TINY | {"t_range": (5000, 4000)}, reference=reference):
        assert torch.equal(draw(sd), plain)


def test_a_picture_that_is_the_reference_is_unchanged(sd, reference):
    """The UNet's input is the noised reference, so the reference's tokens are its own."""
    noise = torch.randn(reference.shape, generator=torch.Generator().manual_seed(4))
    sample = sd.scheduler.add_noise(reference, noise, torch.tensor([500]))
    text = torch.randn(1, 16, 32)
    with torch.inference_mode():
        plain = sd.unet(sample, 500, text)[0]
        with negtome(sd, **TINY, reference=reference, seed=4):
            same = sd.unet(sample, 500, text)[0]
        with negtome(sd, **TINY, reference=reference, seed=5):
            other = sd.unet(sample, 500, text)[0]
    assert torch.equal(same, plain)
    assert not torch.allclose(other, plain, atol=1e-4)


def test_a_scheduler_that_scales_its_input_works(sd, reference):
    euler = diffusers.EulerDiscreteScheduler.from_config(sd.scheduler.config)
    pipe = diffusers.StableDiffusionPipeline(**sd.components | {"scheduler": euler}, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    plain = draw(pipe)
    with negtome(pipe, **TINY, reference=reference):
        pushed = draw(pipe)
    assert pushed.isfinite().all()
    assert not torch.equal(pushed, plain)


def test_a_reference_is_encoded_as_the_pipeline_encodes(unclip, pictures):
    from PIL import Image

    with Image.open(next(pictures.rglob("*.png"))) as image:
        latents = encode_reference(unclip, image, 32, 32)
        assert latents.shape == (1, 4, 16, 16)
        with torch.inference_mode():
            back = unclip.vae.encode(unclip.image_processor.preprocess(image)).latent_dist.mode()
    torch.testing.assert_close(latents, back * unclip.vae.config.scaling_factor)


def test_a_reference_of_another_size_is_refused(sd):
    with pytest.raises(ValueError, match="reference latents"), negtome(sd, **TINY, reference=torch.zeros(1, 4, 8, 8)):
        draw(sd)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in sd.unet.modules())


def test_time_runs_down(sd):
    with pytest.raises(ValueError, match="runs down"), negtome(sd, t_range=(800, 1000)):
        pass


def test_a_pipeline_without_self_attention_is_refused():
    with pytest.raises(ValueError, match="no UNet"), negtome(object()):
        pass


@pytest.mark.parametrize("given", [False, True])
def test_both_controls_nest_in_either_order(pipe, reference, given):
    more = TINY | ({"reference": reference} if given else {})
    negatives = [("a dog", 1.5)]
    with negtome(pipe, **more), perp_neg_guidance(pipe, negatives):
        inner = draw(pipe, seeds=(1, 2))
    with perp_neg_guidance(pipe, negatives), negtome(pipe, **more):
        outer = draw(pipe, seeds=(1, 2))
    with perp_neg_guidance(pipe, negatives):
        only = draw(pipe, seeds=(1, 2))
    assert torch.equal(inner, outer)
    assert not torch.allclose(inner[1], only[1], atol=1e-4)
    if not given:
        assert torch.equal(inner[0], only[0])
