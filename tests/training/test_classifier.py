from __future__ import annotations

import math

import numpy as np
import pytest
import timm
import torch
from accelerate import Accelerator
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional

from augforge.data.ids import rng
from augforge.data.images import encode_png
from augforge.data.sample import Sample
from augforge.errors import ModelError, RecipeError
from augforge.io import sample_sets as samples
from augforge.models import find_model
from augforge.models.networks.probe import Probe
from augforge.training.classifier import (
    ClassifierOptions,
    LabelledImages,
    class_counts,
    class_loss,
    classifier_task,
    framed,
)
from augforge.training.images import TrainingImages
from augforge.training.task import TrainingContext

COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 50, 40)}
DIGITS = [str(digit) for digit in range(10)]


def context(steps, seed=0):
    return TrainingContext(Accelerator(cpu=True), seed, steps)


def pictures_of(found):
    """Images of (label, image or encoded bytes)."""
    data = {f"{n:04d}": one if isinstance(one, bytes) else encode_png(one) for n, (_, one) in enumerate(found)}
    rows = [Sample(f"{n:04d}", label) for n, (label, _) in enumerate(found)]
    return TrainingImages(rows, lambda sample: data[sample.id])


def colours(count, seed=0, size=(40, 32)):
    """Noisy pictures in three colours, `count` each."""
    random = np.random.default_rng(seed)
    return pictures_of([
        (label, Image.fromarray(np.clip(random.normal(colour, 40, (size[1], size[0], 3)), 0, 255).astype(np.uint8)))
        for label, colour in COLOURS.items()
        for _ in range(count)
    ])  # fmt: skip


def digits(split):
    return pictures_of([(picture.label, picture.data) for picture in samples.sample_images("digits", split)])


def learn(training_task, first, last):
    """The training loop without all that makes it safe."""
    for step in range(first, last):
        torch.manual_seed(step)
        for optimizer in training_task.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault("initial_lr", group["lr"]) * training_task.lr_factor(step)
        training_task.net.train()
        losses = training_task.step(training_task.batch(rng(training_task.context.seed, f"batch {step}")))
    return losses


def probe(train, held_out, steps=200, classes=DIGITS, **options):
    row = find_model("builtin-clip", "image-text")
    chosen = ClassifierOptions(backbone="probe", embedder=row, **options)
    return classifier_task(LabelledImages(train, held_out, classes), context(steps), chosen)


def tiny(train, held_out, steps=40, backbone="timm:test_resnet", size=32, batch=12, **options):
    chosen = ClassifierOptions(backbone=backbone, size=size, batch=batch, **options)
    return classifier_task(LabelledImages(train, held_out, sorted(COLOURS)), context(steps), chosen)


def same(training_task, other):
    pairs = zip(training_task.result().weights.items(), other.result().weights.items(), strict=True)
    return all(name == again and torch.equal(value, twin) for (name, value), (again, twin) in pairs)


@pytest.fixture(scope="module")
def long_tailed():
    return digits("train"), digits("test")


@pytest.mark.parametrize("loss", ["cross-entropy", "balanced-softmax"])
def test_a_probe_learns_the_digits(long_tailed, loss):
    training_task = probe(*long_tailed, loss=loss)
    assert training_task.measure()["accuracy"] < 0.2  # it begins with equal logits
    learn(training_task, 0, 200)
    measured = training_task.measure()
    assert measured["accuracy"] >= 0.9
    assert measured["macro-f1"] >= 0.9
    assert len([name for name in measured if name.startswith("recall ")]) == 10


def test_a_small_network_learns_three_colours():
    training_task = tiny(colours(8), colours(5, seed=1), rate=3e-3)
    losses = learn(training_task, 0, 40)
    assert losses.keys() == {"loss"}
    assert not losses["loss"].requires_grad
    measured = training_task.measure()
    assert measured["accuracy"] > 0.9
    assert measured.keys() == {"accuracy", "macro-f1", "recall blue", "recall green", "recall red"}


def test_a_training_that_goes_on_equals_one_that_was_not_interrupted():
    train, held_out = colours(4), colours(1, seed=1)
    whole = tiny(train, held_out, steps=6, batch=4)
    learn(whole, 0, 6)
    begun, later = tiny(train, held_out, steps=6, batch=4), tiny(train, held_out, steps=6, batch=4)
    learn(begun, 0, 3)
    later.net.load_state_dict(begun.net.state_dict())
    later.optimizers["classifier"].load_state_dict(begun.optimizers["classifier"].state_dict())
    learn(later, 3, 6)
    assert same(whole, later)
    assert not same(whole, begun)


def test_a_seed_decides_the_first_weights_and_torchs_own_generator_is_left_alone():
    train, held_out = colours(1), colours(1)
    torch.manual_seed(5)
    first = tiny(train, held_out)
    after = torch.rand(())
    torch.manual_seed(5)
    assert torch.rand(()) == after
    assert same(first, tiny(train, held_out))


def test_balanced_softmax_is_what_its_formula_says():
    """-log(n_y e^z_y / sum_j n_j e^z_j), averaged."""
    logits = torch.tensor([[1.0, -0.5, 2.0], [0.3, 0.0, -1.0]], dtype=torch.float64)
    labels, counts = torch.tensor([1, 2]), torch.tensor([100.0, 10, 1])
    expected = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        parts = [size * math.exp(value) for size, value in zip(counts.tolist(), row, strict=True)]
        expected -= math.log(parts[label] / sum(parts)) / 2
    assert float(class_loss(logits, labels, counts)) == pytest.approx(expected, abs=1e-12)
    wrong_sign = functional.cross_entropy(logits - counts.double().log(), labels)
    assert abs(float(wrong_sign) - expected) > 1


def test_balanced_softmax_of_equal_classes_is_the_cross_entropy():
    logits, labels = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 3, 1, 1, 2])
    plain = functional.cross_entropy(logits, labels)
    torch.testing.assert_close(class_loss(logits, labels, torch.full((4,), 7.0)), plain)
    torch.testing.assert_close(class_loss(logits, labels), plain)


def test_gradient_of_balanced_softmax():
    counts, labels = torch.tensor([50.0, 5, 1], dtype=torch.float64), torch.tensor([0, 2])
    logits = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: class_loss(z, labels, counts), (logits,))
    class_loss(logits, labels, counts).backward()
    weighted = counts * logits.detach().exp()
    expected = (weighted / weighted.sum(1, keepdim=True) - functional.one_hot(labels, 3)) / 2
    torch.testing.assert_close(logits.grad, expected)


def test_balanced_softmax_takes_the_lean_towards_the_large_class_away():
    """Of pictures that say nothing about their class, 90 are of one and 10 of another: the best constant logits are
    equal for balanced softmax, log 9 apart for the cross-entropy, and twice that the other way for the wrong sign."""
    labels, counts = torch.tensor([0] * 90 + [1] * 10), torch.tensor([90.0, 10.0])

    def best(sizes, sign=1):
        constant = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([constant], max_iter=100, line_search_fn="strong_wolfe")

        def closure():
            optimizer.zero_grad()
            loss = class_loss(constant.expand(100, 2), labels, None if sizes is None else sizes**sign)
            loss.backward()
            return loss

        optimizer.step(closure)
        return float((constant[0] - constant[1]).detach())

    assert best(counts) == pytest.approx(0, abs=1e-4)
    assert best(None) == pytest.approx(math.log(9), abs=1e-4)
    assert best(counts, sign=-1) == pytest.approx(2 * math.log(9), abs=1e-3)


def test_only_real_pictures_count_for_balanced_softmax():
    rows = [Sample("1", "a"), Sample("2", "a"), Sample("3", "b"), Sample("4", "b", origin="synthetic")]
    pictures = TrainingImages(rows, lambda sample: b"")
    assert class_counts(pictures, ["a", "b"]).tolist() == [2, 1]
    with pytest.raises(RecipeError, match="'c' has none"):
        class_counts(pictures, ["a", "b", "c"])


def test_a_probe_standardises_and_leaves_what_hardly_varies():
    features = np.random.default_rng(0).normal([1, -2, 5], [1, 3, 0], (500, 3)).astype(np.float32)
    net = Probe(3, 2).standardise(features)
    torch.testing.assert_close(net.mean, torch.from_numpy(features.mean(0)), atol=1e-5, rtol=0)
    torch.testing.assert_close(net.std, torch.tensor([features[:, 0].std(), features[:, 1].std(), 1.0]))
    assert torch.equal(net(torch.from_numpy(features[:4])), torch.zeros(4, 2))


def test_without_held_out_pictures_it_is_measured_on_the_training_ones_and_says_so():
    training_task = tiny(colours(2), pictures_of([]))
    assert training_task.measure().keys() >= {"train-accuracy", "train-macro-f1", "train-recall red"}
    assert training_task.sample_grid().titles[0].startswith("training")


def test_a_held_out_class_that_was_never_learnt_counts_as_wrong():
    held_out = pictures_of([("violet", Image.new("RGB", (32, 32), "violet"))])
    training_task = tiny(colours(2), held_out)
    measured = training_task.measure()
    assert (measured["accuracy"], measured["recall violet"]) == (0.0, 0.0)
    assert len(training_task.sample_grid().rows) == 1


def test_the_sheet_has_a_row_for_each_class_and_frames_that_tell_right_from_wrong():
    training_task = probe(colours(3), colours(8, seed=1), classes=sorted(COLOURS))
    with torch.no_grad():
        training_task.net.head.bias += torch.tensor([9.0, 0, 0])  # everything looks blue to it
    sheet = training_task.sample_grid()
    assert len(sheet.titles) == 6
    assert [len(row) for row in sheet.rows] == [6, 6, 6]
    assert len({cell.shape for row in sheet.rows for cell in row}) == 1
    frames = [{tuple(cell[0, 0].tolist()) for cell in row} for row in sheet.rows]
    assert frames == [{(30, 150, 60)}, {(200, 40, 40)}, {(200, 40, 40)}]


def test_a_framed_picture_holds_the_whole_picture_and_is_of_one_size():
    tall, wide = np.full((90, 30, 3), 7, np.uint8), np.full((10, 40, 3), 7, np.uint8)
    first, second = framed(tall, "a", "a"), framed(wide, "ä", "b")
    assert first.shape == second.shape
    assert (first == 7).all(-1).sum() == 96 * 32
    assert (second == 7).all(-1).sum() == 96 * 24


def test_batches_are_random_crops_that_only_their_generator_decides():
    training_task = tiny(colours(4), colours(1))
    one, again, other = (training_task.batch(rng(seed)) for seed in (1, 1, 2))
    assert one["inputs"].shape == (12, 3, 32, 32)
    assert torch.equal(one["inputs"], again["inputs"])
    assert not torch.equal(one["inputs"], other["inputs"])
    assert one["labels"].dtype == torch.int64


def test_what_is_saved_of_a_network_and_of_a_probe():
    facts = tiny(colours(1), colours(1)).result().facts
    assert facts["architecture"] == "timm:test_resnet"
    assert facts["classes"] == ["blue", "green", "red"]
    assert (facts["size"], facts["resize"], facts["mean"]) == (32, 33, [0.5, 0.5, 0.5])
    facts = probe(colours(1), colours(1), classes=sorted(COLOURS)).result().facts
    assert facts["architecture"] == "probe"
    assert facts["embedder"]["name"] == "builtin-clip"
    assert len(facts["embedder"]["digest"]) == 64


def test_it_begins_from_a_file_of_weights_and_makes_a_new_head(tmp_path):
    thousand = timm.create_model("test_resnet", num_classes=1000)
    save_file(thousand.state_dict(), tmp_path / "net.safetensors")
    training_task = tiny(colours(1), colours(1), pretrained=str(tmp_path / "net.safetensors"))
    mine, theirs = training_task.net.state_dict(), thousand.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs if not name.startswith("fc."))
    assert mine["fc.weight"].shape[0] == 3
    assert training_task.result().facts["began-with"]["name"] == "net.safetensors"


def test_weights_that_do_not_fit_are_refused(tmp_path):
    save_file(timm.create_model("test_efficientnet").state_dict(), tmp_path / "other.safetensors")
    (tmp_path / "pickle.pth").write_bytes(b"\x80")
    (tmp_path / "damaged.safetensors").write_bytes(b"nonsense")
    for name, message in {
        "other.safetensors": "does not fit timm:test_resnet",
        "damaged.safetensors": "does not fit",
        "pickle.pth": "no safetensors file",
        "absent.safetensors": "no safetensors file",
    }.items():
        with pytest.raises(ModelError, match=message) as error:
            tiny(colours(1), colours(1), pretrained=str(tmp_path / name))
        assert "safetensors" in error.value.hint


def test_the_hub_is_asked_only_on_request_and_its_absence_explained(monkeypatch):
    import huggingface_hub

    def unreachable(*args, **options):
        raise OSError("no connection")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    tiny(colours(1), colours(1))
    with pytest.raises(ModelError, match="not to be had from the hub: no connection") as error:
        tiny(colours(1), colours(1), pretrained="pretrained")
    assert "give as weights a safetensors file of timm's test_resnet" in error.value.hint


def test_wrong_names_labels_and_batches():
    with pytest.raises(ModelError, match="no network called 'resnot18'") as error:
        tiny(colours(1), colours(1), backbone="timm:resnot18")
    assert "did you mean" in error.value.hint
    with pytest.raises(RecipeError, match="one image at a time"):
        tiny(colours(1), colours(1), batch=1)
    with pytest.raises(RecipeError, match="'blue', which is none of the classes"):
        probe(colours(1), colours(1), classes=["green", "red"])
    with pytest.raises(RecipeError, match="needs an embedder"):
        classifier_task(LabelledImages(colours(1), colours(1), sorted(COLOURS)), context(1), ClassifierOptions("probe"))


def test_a_network_of_fixed_size_is_built_for_the_size_that_is_asked_for():
    training_task = tiny(colours(2), colours(1), backbone="timm:test_vit", batch=2)
    learn(training_task, 0, 1)
    assert math.isfinite(training_task.measure()["accuracy"])
