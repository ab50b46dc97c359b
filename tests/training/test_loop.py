from __future__ import annotations

import hashlib
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from augforge.errors import ModelError, StoreError
from augforge.models.directory import CHECKPOINT, read_model, read_record
from augforge.models.tensors import frozen, to_picture, to_tensor
from augforge.progress import Bar, Progress
from augforge.training.checkpoint import read_checkpoint, write_checkpoint
from augforge.training.loop import Plan, accelerator_for, collapsed, train
from augforge.training.writing import write_model
from tests.training.toy import toy

PLAN = Plan("toy", 40, 2, checkpoint_every=7, eval_every=20)
RECORD = {
    "task": "night", "identity": "toy", "options": {"rate": 1}, "seed": 1, "steps": 40, "batch": 2,
    "data": {"day": {"images": 3, "digest": "abc"}}, "device-name": "cpu", "dtype": "float32",
    "versions": {"augforge": "0"},
}  # fmt: skip


class Killed(Exception):
    pass


class KillAt(Progress):
    """Stops the training after so many calls of the bar, and remembers what was said."""

    def __init__(self, after: int) -> None:
        self.left, self.said, self.notes = after, [], []

    def say(self, text: str) -> None:
        self.said.append(text)

    def bar(self, title: str, total: int, unit: str = "images"):
        from contextlib import contextmanager

        outer = self

        class Counting(Bar):
            def advance(self, count: int = 1) -> None:
                outer.left -= 1
                if outer.left == 0:
                    raise Killed

            def note(self, text: str) -> None:
                outer.notes.append(text)

        @contextmanager
        def counting():
            yield Counting()

        return counting()


def state_of(training_task) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in training_task.nets["net"].state_dict().items()}


@pytest.mark.parametrize("after", [3, 9, 20, 36])
def test_a_killed_training_ends_as_an_uninterrupted_one(tmp_path, after):
    whole = toy()
    history = train(whole, PLAN, tmp_path / "whole", Progress(), "toy")
    with pytest.raises(Killed):
        train(toy(), PLAN, tmp_path / "killed", KillAt(after), "toy")
    again = toy()
    progress = KillAt(10**9)
    resumed = train(again, PLAN, tmp_path / "killed", progress, "toy")
    assert (after > 8) == any("going on at step" in text for text in progress.said)
    assert all(torch.equal(value, state_of(again)[name]) for name, value in state_of(whole).items())
    assert again.total == whole.total and resumed == history


def test_another_seed_ends_elsewhere(tmp_path):
    courses = toy(), toy(seed=2)
    for number, training_task in enumerate(courses):
        train(training_task, PLAN, tmp_path / str(number), Progress(), "toy")
    assert not torch.equal(*(state_of(training_task)["0.weight"] for training_task in courses))


def test_the_rate_is_constant_and_then_falls_to_zero(tmp_path):
    training_task = toy(steps=40)
    assert [training_task.lr_factor(step) for step in (0, 19, 20, 30, 39)] == pytest.approx([1, 1, 1, 0.5, 0.05])
    train(training_task, PLAN, tmp_path, Progress(), "toy")
    assert training_task.optimizers["net"].param_groups[0]["lr"] == pytest.approx(0.05 * 0.05)


def test_a_divergent_training_says_so_and_saves_nothing(tmp_path):
    training_task = toy(rate=1.0)
    training_task.nets["net"][0].weight.data[0, 0, 0, 0] = float("nan")
    with pytest.raises(ModelError, match="diverged by step 10: loss is nan") as error:
        train(training_task, PLAN, tmp_path, Progress(), "toy")
    assert "rate" in error.value.hint and not (tmp_path / "model.json").exists()


def test_a_collapsed_training_says_so(tmp_path):
    plan = Plan("toy", 120, 2, checkpoint_every=50, eval_every=20)
    with pytest.raises(ModelError, match="collapsed by step 120: every picture is of one colour"):
        train(toy(120, collapse=True), plan, tmp_path, Progress(), "toy")


def test_what_counts_as_collapsed():
    fine = np.random.default_rng(0).uniform(size=(3, 4, 4, 3)).astype(np.float32)
    assert collapsed(fine) == ""
    assert "one colour" in collapsed(np.full((3, 4, 4, 3), 0.3, np.float32))
    assert "whatever goes in" in collapsed(np.repeat(fine[:1], 3, axis=0))
    assert "no numbers" in collapsed(np.where(fine > 0.9, np.nan, fine).astype(np.float32))
    assert collapsed(fine[:1]) == ""


def test_checkpoints_of_another_training_or_damaged_ones_are_left_behind(tmp_path):
    train(toy(), PLAN, tmp_path, Progress(), "toy")
    whole = toy()
    progress = KillAt(10**9)
    train(whole, Plan("other", 40, 2, 7, 20), tmp_path, progress, "toy")
    assert "another training" in progress.said[0]
    (tmp_path / CHECKPOINT).write_bytes((tmp_path / CHECKPOINT).read_bytes()[:100])
    progress = KillAt(10**9)
    again = toy()
    train(again, PLAN, tmp_path, progress, "toy")
    assert "beginning anew" in progress.said[0]
    assert torch.equal(state_of(again)["0.weight"], state_of(whole)["0.weight"])


def test_losses_are_shown_as_it_goes(tmp_path):
    progress = KillAt(10**9)
    train(toy(), PLAN, tmp_path, progress, "toy")
    assert len(progress.notes) == 4 and re.fullmatch(r"step 10  loss \d\.\d{3}", progress.notes[0])


def test_checkpoints_hold_nested_state(tmp_path):
    state = {"a": [1, 2.5, None, ("x", torch.arange(3))], 7: {"b": torch.zeros(2, dtype=torch.bfloat16)}, "c": True}
    write_checkpoint(tmp_path / "c", state)
    back = read_checkpoint(tmp_path / "c")
    assert back["a"][:3] == [1, 2.5, None] and back["a"][3][0] == "x" and isinstance(back["a"][3], tuple)
    assert torch.equal(back["a"][3][1], torch.arange(3)) and back[7]["b"].dtype == torch.bfloat16 and back["c"] is True
    (tmp_path / "c").write_bytes(b"rubbish")
    with pytest.raises(StoreError, match="cannot be read"):
        read_checkpoint(tmp_path / "c")


def test_the_model_directory_holds_all(tmp_path):
    training_task = toy()
    history = train(training_task, PLAN, tmp_path, Progress(), "toy")
    assert read_record(tmp_path) is None
    write_model(tmp_path, RECORD, training_task, history, 2.0)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"model.json", "model.safetensors", "samples.png", "losses.png", "README.md"}
    trained = read_model(tmp_path)
    assert trained.facts == {"architecture": "toy"}
    assert torch.equal(trained.weights["0.weight"], state_of(training_task)["0.weight"])
    record = json.loads((tmp_path / "model.json").read_text())
    assert [row["step"] for row in record["history"]["losses"]] == [10, 20, 30, 40]
    assert [row["step"] for row in record["history"]["measured"]] == [20, 40] and "level" in record["measured"]
    assert min(Image.open(tmp_path / "samples.png").size) > 90
    assert Image.open(tmp_path / "losses.png").size[0] > 500
    text = (tmp_path / "README.md").read_text()
    assert "40.0 images/s" in text and "| day | 3 | `abc` |" in text


def test_a_damaged_model_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"no model\.json"):
        read_model(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        read_model(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"format": 99, "task": "night"}))
    with pytest.raises(ModelError, match="format 99"):
        read_model(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"format": 1, "task": "night", "facts": {}}))
    (tmp_path / "model.safetensors").write_bytes(b"not tensors")
    with pytest.raises(ModelError, match="is not what was trained"):
        read_model(tmp_path)
    digest = hashlib.sha256(b"not tensors").hexdigest()
    record = {"format": 1, "task": "night", "facts": {}, "weights": digest}
    (tmp_path / "model.json").write_text(json.dumps(record))
    with pytest.raises(ModelError, match="cannot be read"):
        read_model(tmp_path)


def test_half_precision_needs_a_device_that_has_it():
    with pytest.raises(ModelError, match="needs a GPU"):
        accelerator_for("cpu", "fp16")
    assert accelerator_for("cpu", "auto").mixed_precision == "no"


def test_resting_networks_take_no_gradients_and_recover():
    net = torch.nn.Linear(2, 2)
    net.bias.requires_grad_(False)
    with frozen(net):
        assert not any(p.requires_grad for p in net.parameters())
    assert net.weight.requires_grad and not net.bias.requires_grad


def test_pictures_and_tensors_go_both_ways():
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert (to_picture(to_tensor(picture)) == picture).all()
    assert to_picture(torch.full((3, 2, 2), float("nan"))).dtype == np.uint8


def test_two_trainings_of_one_process_may_have_different_precision():
    kinds = [accelerator_for("cpu", precision).mixed_precision for precision in ("fp32", "bf16", "fp32")]
    assert kinds == ["no", "bf16", "no"]
