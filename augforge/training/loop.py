"""The one training loop: batches ahead, losses live, checkpoints whole or not at all, and a stop when it diverges.

Every step draws from generators that are seeded by its number alone, so a training that was killed goes on from its
last checkpoint as if nothing had happened: to the same bytes on one CPU and thread count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from augforge.data.ids import key, rng, seed_of
from augforge.errors import AugforgeError, ModelError
from augforge.models.directory import CHECKPOINT
from augforge.progress import Bar, Progress
from augforge.training.checkpoint import read_checkpoint, to_device, write_checkpoint
from augforge.training.task import Batch, TrainingContext, TrainingTask

AHEAD = 4
GRACE = 100  # steps; a network that has hardly begun draws grey, which is no collapse
LOOK_EVERY = 10  # steps between looks at the losses; each look waits for the device


@dataclass(frozen=True, slots=True)
class Plan:
    """How a training goes: `identity` is everything that its result depends on, `batch` counts all processes."""

    identity: str
    steps: int
    batch: int
    checkpoint_every: int
    eval_every: int


@dataclass
class History:
    """What was seen on the way: mean losses and measurements, at steps; `window` has the losses since the last mean."""

    losses: list[dict[str, Any]] = field(default_factory=list)
    measured: list[dict[str, Any]] = field(default_factory=list)
    window: list[dict[str, torch.Tensor]] = field(default_factory=list)


def accelerator_for(device: str, precision: str) -> Accelerator:
    """An accelerator on `device`, with mixed precision ("auto", "fp32", "fp16", "bf16").

    Args:
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        precision: auto is bf16, or fp16 where the GPU has no bf16, and fp32 without CUDA.

    Raises:
        ModelError: the device is not there, or fp16 is asked for without CUDA.
    """
    from augforge.models.devices import kind_of, pick_device

    chosen = pick_device(device)
    on_cuda = kind_of(chosen) == "cuda"
    if precision == "auto":
        precision = "fp32" if not on_cuda else "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if not on_cuda and precision == "fp16":
        raise ModelError("training in fp16 needs a GPU with CUDA", "use precision fp32 or bf16")
    if on_cuda:
        torch.backends.cudnn.deterministic = True
    mixed = "no" if precision == "fp32" else precision
    if AcceleratorState._shared_state.get("_mixed_precision", mixed) != mixed:
        AcceleratorState._reset_state()  # it belongs to the process, and an earlier training had another precision
    return Accelerator(cpu=chosen == "cpu", mixed_precision=mixed, step_scheduler_with_optimizer=False)


def train(training_task: TrainingTask, plan: Plan, folder: Path, progress: Progress, title: str) -> History:
    """Train to the end, from the checkpoint in `folder` if there is one of the same identity.

    Raises:
        ModelError: the losses are no numbers any more, or what comes out has collapsed; nothing is saved then.
    """
    accelerator = training_task.context.accelerator
    _settle(training_task)
    start, history = _resumed(training_task, plan, folder, progress)
    with progress.bar(title, plan.steps * plan.batch) as bar, _Ahead(training_task, plan, start) as batches:
        bar.advance(start * plan.batch)
        for step in range(start, plan.steps):
            if training_task.finished(history.measured):
                break
            history.window.append(_step(training_task, step, next(batches)))
            bar.advance(plan.batch)
            if (step + 1) % LOOK_EVERY == 0 or step + 1 == plan.steps:
                _look_at_losses(step + 1, history, bar)
            if (step + 1) % plan.eval_every == 0 or step + 1 == plan.steps:
                _look_at_outputs(training_task, step + 1, history)
            if accelerator.is_main_process and (step + 1) % plan.checkpoint_every == 0:
                write_checkpoint(folder / CHECKPOINT, _state(training_task, plan, step + 1, history))
    accelerator.wait_for_everyone()
    return history


def _settle(training_task: TrainingTask) -> None:
    """Everything to the device; optimisers behind the accelerator, which scales losses in half precision."""
    accelerator = training_task.context.accelerator
    for net in (*training_task.nets.values(), *training_task.frozen.values()):
        net.to(accelerator.device)
    for net in training_task.frozen.values():
        net.eval().requires_grad_(False)
    for name, optimizer in training_task.optimizers.items():
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        training_task.optimizers[name] = accelerator.prepare(optimizer)


def _step(training_task: TrainingTask, step: int, batch: Batch) -> dict[str, torch.Tensor]:
    torch.manual_seed(
        seed_of(key(training_task.context.seed, "step", step, training_task.context.accelerator.process_index))
    )
    lr_factor = training_task.lr_factor(step)
    for optimizer in training_task.optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * lr_factor
    for net in training_task.nets.values():
        net.train()
    with training_task.context.accelerator.autocast():
        return training_task.step(to_device(batch, training_task.context.device))


def _look_at_losses(step: int, history: History, bar: Bar) -> None:
    seen, history.window = history.window, []
    names = list(dict.fromkeys(name for losses in seen for name in losses))
    means = {
        name: float(torch.stack([losses[name].detach().float() for losses in seen if name in losses]).mean())
        for name in names
    }
    wrong = [name for name, value in means.items() if not math.isfinite(value)]
    if wrong:
        raise ModelError(
            f"the training diverged by step {step}: {wrong[0]} is {means[wrong[0]]}",
            "try a smaller --rate or --precision fp32; no model was saved",
        )
    history.losses.append({"step": step, **means})
    bar.note(f"step {step:,}  " + "  ".join(f"{name} {value:.3f}" for name, value in means.items()))


def _look_at_outputs(training_task: TrainingTask, step: int, history: History) -> None:
    outputs = training_task.outputs()
    if outputs is not None and (problem := collapsed(outputs)) and (step > GRACE or not np.isfinite(outputs).all()):
        raise ModelError(
            f"the training collapsed by step {step}: {problem}",
            "try a smaller --rate, more data or another --seed; no model was saved",
        )
    found = {name: value for name, value in training_task.measure().items() if math.isfinite(value)}
    history.measured.append({"step": step, **found})


def collapsed(outputs: np.ndarray[Any, np.dtype[np.float32]]) -> str:
    """Why pictures (n, h, w, 3) in [0, 1], made from different inputs, are degenerate; "" if they are not."""
    if not np.isfinite(outputs).all():
        return "pixels are no numbers"
    spread = outputs.max(axis=(1, 2)) - outputs.min(axis=(1, 2))
    if float(spread.max()) < 1 / 255:
        return "every picture is of one colour"
    if len(outputs) > 1 and float(np.abs(outputs[1:] - outputs[:1]).max()) < 1 / 255:
        return "the same picture comes out whatever goes in"
    return ""


def _state(training_task: TrainingTask, plan: Plan, step: int, history: History) -> dict[str, Any]:
    scaler = training_task.context.accelerator.scaler
    return {
        "identity": plan.identity,
        "step": step,
        "nets": {name: net.state_dict() for name, net in training_task.nets.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in training_task.optimizers.items()},
        "memory": training_task.state_dict(),
        "scaler": scaler.state_dict() if scaler is not None else {},
        "history": asdict(history),
    }


def _resumed(training_task: TrainingTask, plan: Plan, folder: Path, progress: Progress) -> tuple[int, History]:
    """The step to go on from; checkpoints of another training, or damaged ones, are left behind and said."""
    path = folder / CHECKPOINT
    if not path.is_file():
        return 0, History()
    try:
        state = read_checkpoint(path)
    except AugforgeError as error:
        progress.say(f"{error.message}; beginning anew")
        return 0, History()
    if state["identity"] != plan.identity:
        progress.say(f"{path} is of another training; beginning anew")
        return 0, History()
    for name, net in training_task.nets.items():
        net.load_state_dict(state["nets"][name])
    for name, optimizer in training_task.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    if training_task.context.accelerator.scaler is not None:
        training_task.context.accelerator.scaler.load_state_dict(state["scaler"])
    training_task.load_state_dict(state["memory"])
    progress.say(f"going on at step {state['step']:,} of {plan.steps:,}")
    history = History(**state["history"])
    history.window = [to_device(losses, training_task.context.device) for losses in history.window]
    return state["step"], history


class _Ahead:
    """The batches of the steps to come, prepared in another thread."""

    def __init__(self, training_task: TrainingTask, plan: Plan, start: int) -> None:
        self._training_task, self._plan, self._next = training_task, plan, start
        self._pool = ThreadPoolExecutor(1)
        self._waiting: list[Future[Batch]] = []

    def __enter__(self) -> Iterator[Batch]:
        return self._batches()

    def _batches(self) -> Iterator[Batch]:
        while True:
            while len(self._waiting) < AHEAD and self._next < self._plan.steps:
                self._waiting.append(self._pool.submit(self._prepare, self._next))
                self._next += 1
            yield self._waiting.pop(0).result()

    def _prepare(self, step: int) -> Batch:
        place = self._training_task.context.accelerator.process_index
        return self._training_task.batch_at(step, rng(self._training_task.context.seed, f"batch-{step}-{place}"))

    def __exit__(self, *error: object) -> None:
        for future in self._waiting:
            future.cancel()
        self._pool.shutdown()


def context_for(accelerator: Accelerator, seed: int, steps: int) -> TrainingContext:
    """The context of a training task; torch's own generator is seeded, so that fresh networks begin the same."""
    torch.manual_seed(seed_of(key(seed, "initial weights")))
    return TrainingContext(accelerator, seed, steps)
