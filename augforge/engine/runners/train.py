"""Run a trainer: who plays which part, what the result depends on, and the training unless its model is there."""

from __future__ import annotations

import pickle
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augforge.data.ids import key
from augforge.data.ledger import Ledger
from augforge.data.mirror import url_of
from augforge.data.pictures import MASK, identity_of
from augforge.data.places import on_disk
from augforge.data.pool import Pool
from augforge.data.sample import Sample
from augforge.data.store import Store
from augforge.engine.at_hand import check_models
from augforge.engine.before import check_before
from augforge.engine.context import RunContext
from augforge.engine.guards import refuse_touching
from augforge.engine.ingest import MENDED, bad_images, open_sources, read_sources, refuse_too_many_bad, say_what_is_bad
from augforge.engine.pixels import Pixels
from augforge.engine.retry import forget_failed
from augforge.engine.workers import launch
from augforge.errors import RecipeError, StoreError, TooManyBad
from augforge.models import Model, find_model, model_key
from augforge.models.digests import digest
from augforge.models.directory import CHECKPOINT, DIGITS, HELD_OUT, RECORD, read_record, sound_record
from augforge.optional import require
from augforge.progress import Progress
from augforge.stages.trainer import Trainer

if TYPE_CHECKING:
    from augforge.recipe import Recipe, SourceSpec

Roles = dict[str, list[Sample]]


@dataclass(frozen=True, slots=True)
class Task:
    """One training, as every process is given it. `generated` are the parts that hold images of earlier stages."""

    stage: Trainer
    roles: Roles
    identity: str
    folder: Path
    seed: int
    device: str
    sources: Sequence[SourceSpec] = ()
    generated: Mapping[str, Path] | None = None


def training_roles(stage: Trainer, ledger: Ledger, progress: Progress | None = None) -> Roles:
    """The samples of every role, sorted by id, so that their order does not depend on the sources'.

    `progress` is told which of them the stage cannot use.
    """
    roles: Roles = {}
    for role, indices in stage.roles(ledger).items():
        found = sorted(_allowed(stage, role, list(ledger.samples(indices))), key=lambda s: s.id)
        usable, said = stage.usable(role, found)
        roles[role] = list(usable)
        if said and progress is not None:
            progress.say(said)
    return roles


def _allowed(stage: Trainer, role: str, samples: list[Sample]) -> list[Sample]:
    """Those of the stage's split, and with `shots` the same K of each class that a generator sees."""
    if role == HELD_OUT:
        return [] if stage.shots else samples
    classes: dict[str | None, list[Sample]] = {}
    for sample in samples:
        if sample.split in (None, stage.split):
            classes.setdefault(sample.label, []).append(sample)
    return [sample for found in classes.values() for sample in Pool(found, stage.shots).samples]


def training_key(stage: Trainer, roles: Roles, seed: int) -> str:
    """Everything that the trained model depends on: options, images, labels, masks, texts, models, seed, code."""
    models = [model_key(find_model(name, task)) for name, task in stage.models()]
    options = stage.measured_options()
    texts = {role: found for role, samples in roles.items() if (found := list(stage.texts(samples)))}
    more = [texts] if texts else []  # none is not the same as an empty one: models from before have the same key
    return key(stage.name, stage.version, options, models, file_digests(stage), seed, data_digests(roles), *more)


def file_digests(stage: Trainer) -> list[str]:
    """Digests of the files that options of the stage name."""
    return [digest(Path(name)) for option in stage.files if Path(name := getattr(stage, option) or "").is_file()]


def data_digests(roles: Roles) -> dict[str, str]:
    """A digest of each role's images, labels, masks and the like."""
    return {
        role: key([[s.digest, s.label, identity_of(s.pictures)] for s in samples]) for role, samples in roles.items()
    }


def trained_row(stage: Trainer, identity: str, folder: Path) -> Model:
    """The row of the model table for a model that a recipe trains."""
    return trained_model(stage.called, stage.task, identity, folder)


def trained_model(name: str, task: str, identity: str, folder: Path) -> Model:
    """The row of a model in `folder` that a recipe trained and calls `name`."""
    licence = "follows from its training images"
    return Model(name, (task,), str(folder), licence, "trained by the recipe", identity=identity)


def model_folder(stage: Trainer, identity: str, store: Store) -> Path:
    """Where the model of a recipe's training lies."""
    return store.folder / "models" / f"{stage.name}-{identity[:12]}"


def run_trainer(stage: Trainer, title: str, context: RunContext) -> dict[str, int]:
    """Train the stage's model unless it is there, and make it known under its name."""
    roles = training_roles(stage, context.ledger, context.progress)
    identity = training_key(stage, roles, context.seed)
    folder = model_folder(stage, identity, context.store)
    task = Task(stage, roles, identity, folder, context.seed, context.device)
    record = sound_record(folder, context.progress)
    if record is None or record["identity"] != identity:
        context.engine.train()
    steps = train_into(task, context.pixels, context.progress)
    context.models[stage.called] = trained_row(stage, identity, folder)
    return {"trained": steps, "reused": 0 if steps else 1}


def train_into(task: Task, pixels: Pixels, progress: Progress) -> int:
    """Train into `task.folder`, going on from a checkpoint; returns the steps, 0 where the finished model is there.

    Raises:
        StoreError: the folder holds a finished model of another training.
        ModelError: the training diverged or collapsed.
    """
    record = sound_record(task.folder, progress)
    if record is not None and record["identity"] == task.identity:
        return 0
    if record is not None:
        raise StoreError(
            f"{task.folder} holds a model of another training (other data, options or seed)",
            "choose another --out, or --replace to train over it",
        )
    if task.stage.processes > 1:
        _in_processes(task, pixels, progress)
    else:
        train_here(task, pixels, progress)
    return task.stage.steps


def train_alone(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = True,
    device: str = "auto",
    limit: int | None = None,
    max_bad: float = 0.1,
    retry: str | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train the one stage of `recipe` into the model directory `out`; the record of the finished model.

    Args:
        recipe: its sources and a single trainer.
        out: the model directory; new, empty, or of this training, which then goes on.
        resume: without it, whatever is in `out` is trained over.
        replace: train over a model of another training in `out`, which is refused otherwise.
        device, limit, max_bad, retry, progress: as in `augforge.engine.run.run`.

    Raises:
        AugforgeError: as drawn in `augforge.errors`; the last checkpoint is kept.
    """
    progress = progress or Progress()
    (stage,) = recipe.stages
    if not isinstance(stage, Trainer):
        raise TypeError(f"`{stage.verb}: {stage.name}` trains no model")
    check_before(recipe.stages, device)
    require(*stage.packages(), who="training")
    on_disk(url_of(out) or out)
    check_folder(out)
    store = Store(out / ".facts", progress.say)
    if not (out / RECORD).is_file():
        check_models(recipe, store)
    sources = open_sources(recipe)
    refuse_touching(recipe, out)
    with store.locked():
        if retry is not None:
            forget_failed(sources, store, retry)
        if not resume:
            _forget_model(out)
        ledger, _ = read_sources(sources, store, progress, limit)
        if problem := refuse_too_many_bad(bad_images(ledger), max_bad):
            raise TooManyBad(problem, MENDED)
        say_what_is_bad(ledger, progress)
        roles = training_roles(stage, ledger, progress)
        identity = training_key(stage, roles, recipe.seed)
        if replace:
            _forget_other(out, identity, progress)
        steps = train_into(
            Task(stage, roles, identity, out, recipe.seed, device), Pixels(sources, recipe.sources), progress
        )
    return {"out": str(out), "trained": steps, **(read_record(out) or {})}


def _forget_other(out: Path, identity: str, progress: Progress) -> None:
    """Forget the model in `out` if it is of another training."""
    record = sound_record(out, progress)
    if record is not None and record["identity"] != identity:
        _forget_model(out)


def _forget_model(out: Path) -> None:
    for name in (RECORD, CHECKPOINT):
        (out / name).unlink(missing_ok=True)


def check_folder(out: Path) -> None:
    """StoreError where the folder `out` holds something else than a model, finished or begun."""
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / ".facts").is_dir()):
        raise StoreError(f"{out} holds something else than a model of ours", "choose a new or empty --out")


def train_here(task: Task, pixels: Pixels, progress: Progress) -> None:
    """Train in this process; with several, each has a share of every batch and the first one writes."""
    from augforge.training.images import TrainingImages
    from augforge.training.loop import Plan, accelerator_for, context_for, train
    from augforge.training.writing import write_model

    stage = task.stage
    progress.say(f"train {stage.name}: loading")
    accelerator = accelerator_for(task.device, stage.precision)
    if stage.batch % accelerator.num_processes:
        raise RecipeError(f"a batch of {stage.batch} cannot be divided among {accelerator.num_processes} processes")
    pictures = {
        role: TrainingImages(
            samples, pixels.bytes_of, (lambda sample: pixels.picture_of(sample, MASK)) if stage.masks else None
        )
        for role, samples in task.roles.items()
    }
    training_task = stage.training_task(pictures, context_for(accelerator, task.seed, stage.steps))
    plan = Plan(task.identity, stage.steps, stage.batch, stage.checkpoint_every, stage.eval_every)
    resumed, started = (task.folder / CHECKPOINT).is_file(), time.monotonic()
    history = train(training_task, plan, task.folder, progress, f"train {stage.name}")
    seconds = None if resumed else time.monotonic() - started
    if accelerator.is_main_process:
        write_model(task.folder, _record(task, accelerator), training_task, history, seconds)
        if text := stage.verdict(history.measured[-1]):
            progress.say(f"train {stage.name}: {text}")
    accelerator.wait_for_everyone()


def _record(task: Task, accelerator: Any) -> dict[str, Any]:
    """What `model.json` says beside the network's own facts and the history."""
    from augforge.models.devices import setting

    stage = task.stage
    digests = data_digests(task.roles)
    dtype = {"no": "float32", "fp16": "float16", "bf16": "bfloat16"}[accelerator.mixed_precision]
    models = {option: find_model(getattr(stage, option), t).facts() for option, t in stage.tasks().items()}
    return {
        "task": stage.task,
        "trainer": stage.name,
        "trainer-version": stage.version,
        "identity": task.identity,
        "options": {name: value for name, value in stage.options().items() if name != "as"},
        "models": models,
        "data": {role: {"digest": digests[role], **_images(role, samples)} for role, samples in task.roles.items()},
        "seed": task.seed,
        "steps": stage.steps,
        "batch": stage.batch,
        "processes": accelerator.num_processes,
        **setting(accelerator.device.type, dtype, "accelerate"),
    }


def _images(role: str, samples: Sequence[Sample]) -> dict[str, Any]:
    """How many images play a role, and the first digits of the digests of those that are learnt from."""
    known = {} if role == HELD_OUT else {"digests": sorted({sample.digest[:DIGITS] for sample in samples})}
    return {"images": len(samples), **known}


def _in_processes(task: Task, pixels: Pixels, progress: Progress) -> None:
    progress.say(f"train {task.stage.name}: {task.stage.processes} processes")
    made = {name: parts.folder for name, parts in pixels.generated.items()}
    whole = Task(task.stage, task.roles, task.identity, task.folder, task.seed, task.device, tuple(pixels.specs), made)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task"
        path.write_bytes(pickle.dumps(whole))
        launch("augforge.engine.runners.train", path, task.stage.processes, task.device, lambda: None)


def work(path: Path) -> None:
    """One process of several: train together with the others, on the device that accelerate gave."""
    from augforge.data.parts import Parts
    from augforge.engine.runners.generated import GENERATED
    from augforge.io import open_source
    from augforge.progress import LineProgress

    task: Task = pickle.loads(path.read_bytes())  # written by `_in_processes` a moment ago
    pixels = Pixels([open_source(spec.kind, spec.value, **spec.options) for spec in task.sources], task.sources)
    for name, folder in (task.generated or {}).items():
        pixels.generated[name] = Parts(folder, GENERATED, "id", lambda text: None)
    from accelerate import PartialState

    state = PartialState(cpu=task.device == "cpu")
    train_here(task, pixels, LineProgress() if state.is_main_process else Progress())
    state.destroy_process_group()


if __name__ == "__main__":
    work(Path(sys.argv[1]))
