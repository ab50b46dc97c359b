"""Does a chosen subset train better than a random one? A small network on CIFAR-10, at several shares of the data.

    python benchmarks/subset_training.py --data DIR                        all arms but max-loss, three seeds
    python benchmarks/subset_training.py --data DIR --quick                a short one: is everything there?
    python benchmarks/subset_training.py --data DIR --pool 20000 --test 2500 --epochs 2 --minutes 15

DIR holds cifar10_train.parquet and cifar10_test.parquet: images as encoded bytes, and their labels. After
*Data-Efficient Augmentation for Training Neural Networks* (NeurIPS 2022): a training sees the points of its subset
and as many strongly augmented copies of them (crop, flip, cutout), and the selection's weights in the loss. Arms:

    full            all of the pool, which is the training images, or `--pool` of them, balanced over the classes
    random          a random subset, the same throughout
    random-again    a new random subset in each of `--rounds` equal parts of the training
    coreset-once    facility location over the last features (cosine) of a network trained for `--warm` epochs
    coreset-again   the first part as random; then, at the start of each other part, facility location over the
                    softmax residuals of the network as it is (Euclidean), class by class
    max-loss        as coreset-again, with the largest losses in place of facility location
    unweighted      as coreset-again, without the weights

`random-again` tells what comes of new points from what comes of chosen ones. All trainings of a seed start from the
same network and take as many steps, those of `--epochs` epochs over the pool and its copies, at a constant learning
rate; what is tested is the running average of the weights. Passes are images through forward and backward, those of
the warm-up included. Seconds are of one thread, selection and warm-up included, tests excluded; "cpu" leaves out
what other processes took. The target is `--target` of the mean accuracy that `full` ends with, looked for at each of
`--checks` equally distant tests, so the time to reach it is never finer than one part. The spread is the standard
deviation over seeds (n - 1).
"""

from __future__ import annotations

import argparse
import copy
import io
import itertools
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from augforge.algorithms.selection import Selection, facility_location, largest, losses, random_subset, softmax_residual

SUBSETS = ("random", "random-again", "coreset-once", "coreset-again", "max-loss", "unweighted")
AGAIN = ("random-again", "coreset-again", "max-loss", "unweighted")
BATCH, AVERAGE, CLASSES = 64, 0.97, 10
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Pictures:
    """Images (n, 3, 32, 32) in channels_last, about -2 to 2, and their labels (n,)."""

    images: Tensor
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, rows: Labels) -> Pictures:
        """Those of `rows`."""
        return Pictures(self.images[rows], self.labels[rows])


@dataclass
class Cost:
    """What a training has spent so far; tests are not counted."""

    wall: float = 0.0
    cpu: float = 0.0
    selection: float = 0.0
    passes: int = 0

    @contextmanager
    def counted(self, *, selecting: bool = False) -> Iterator[None]:
        """Add the seconds that the block takes; `selection` is in CPU seconds, and part of them."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        spent = time.process_time() - cpu
        self.wall, self.cpu = self.wall + time.perf_counter() - wall, self.cpu + spent
        self.selection += spent if selecting else 0.0


@dataclass
class Training:
    """One training: `tests` holds, for each test in turn, passes, CPU seconds, wall seconds and accuracy."""

    arm: str
    share: float
    seed: int
    tests: list[tuple[int, float, float, float]] = field(default_factory=list)
    selection: float = 0.0

    @property
    def accuracy(self) -> float:
        """Of the last test."""
        return self.tests[-1][3]

    def reached(self, target: float) -> tuple[int, float, float] | None:
        """Passes, CPU and wall seconds at the first test that is as good as `target`."""
        return next((test[:3] for test in self.tests if test[3] >= target), None)


def read(file: Path) -> Pictures:
    """All pictures of a Parquet file with the columns `image` (bytes) and `label`."""
    table = pq.read_table(file)
    encoded = table["image"].combine_chunks().field("bytes")
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(one.as_py())).convert("RGB")) for one in encoded])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(63.75).sub_(2)
    labels = table["label"].to_numpy().astype(np.int64)
    return Pictures(images.contiguous(memory_format=torch.channels_last), labels)


def keys(n: int, *seeds: int) -> NDArray[np.uint64]:
    """(n,) random keys, as `random_subset` takes them."""
    return np.random.default_rng(seeds).integers(0, 2**64, size=n, dtype=np.uint64)


def balanced(pictures: Pictures, count: int) -> Pictures:
    """`count` of them, always the same ones, the classes in proportion."""
    chosen = random_subset(len(pictures), count, labels=pictures.labels, keys=keys(len(pictures), 7)).indices
    return pictures.of(np.sort(chosen))


class Network(nn.Module):
    """Four convolutions and a linear layer; `width` 16 makes about 0.1 million weights."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        blocks = [_block(nn.Conv2d(3, width, 4, 2, 1, bias=False), width)]
        for before, after in itertools.pairwise(widths):
            blocks.append(_block(nn.Conv2d(before, after, 3, padding=1, bias=False), after, nn.MaxPool2d(2)))
        self.body = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(widths[-1], CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """(n, 10) logits."""
        logits: Tensor = self.head(self.body(images))
        return logits


def _block(convolution: nn.Conv2d, width: int, *pool: nn.Module) -> nn.Sequential:
    return nn.Sequential(convolution, *pool, nn.BatchNorm2d(width), nn.ReLU(inplace=True))


@torch.no_grad()
def predicted(network: nn.Module, images: Tensor) -> NDArray[np.float32]:
    """(n, c) what `network` answers in evaluation mode."""
    was, _ = network.training, network.eval()
    parts = [network(images[start : start + 500]) for start in range(0, len(images), 500)]
    network.train(was)
    return torch.cat(parts).numpy()


def augmented(images: Tensor, draw: np.random.Generator) -> Tensor:
    """Each image moved by up to 4 px (crop after reflection), half of them mirrored, and a hole of 12 px in each."""
    n, size = len(images), images.shape[-1]
    steps = np.arange(size)
    rows = draw.integers(9, size=(n, 1)) + steps
    columns = draw.integers(9, size=(n, 1)) + steps
    columns = np.where(draw.random((n, 1)) < 0.5, columns[:, ::-1], columns)
    wide = pad(images, (4, 4, 4, 4), mode="reflect").permute(0, 2, 3, 1)
    moved = wide[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
    hole = (_near(draw, n, steps)[:, :, None] & _near(draw, n, steps)[:, None, :])[..., None]
    return moved.masked_fill(torch.from_numpy(hole), 0.0).permute(0, 3, 1, 2)


def _near(draw: np.random.Generator, n: int, steps: Labels) -> NDArray[np.bool_]:
    """(n, size) which places are within 6 of a random one."""
    near: NDArray[np.bool_] = np.abs(steps - draw.integers(len(steps), size=(n, 1)) + 0.5) < 6
    return near


class TrainingTask:
    """A network under training, and its running average."""

    def __init__(self, pool: Pictures, width: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.pool, self.draw = pool, np.random.default_rng([seed, 1])
        self.network = Network(width).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval()
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True
        )
        self.cost = Cost()
        self.queue: Labels = np.empty(0, np.int64)

    def use(self, subset: Selection) -> None:
        """Train on these points from now on, and on a copy of each."""
        self.rows, self.queue = subset.indices, np.empty(0, np.int64)
        self.weights = torch.from_numpy(subset.weights.astype(np.float32))

    def steps(self, count: int) -> None:
        """That many batches."""
        with self.cost.counted():
            for _ in range(count):
                self._step(self._batch())
                self.cost.passes += BATCH

    def _batch(self) -> Labels:
        """(b,) places in the subset, those of copies beyond its end; all are used before any is used again."""
        while len(self.queue) < BATCH:
            self.queue = np.concatenate([self.queue, self.draw.permutation(2 * len(self.rows))])
        batch, self.queue = self.queue[:BATCH], self.queue[BATCH:]
        return np.sort(batch)

    def _step(self, batch: Labels) -> None:
        places, plain = batch % len(self.rows), int((batch < len(self.rows)).sum())
        rows = self.rows[places]
        images, labels = self.pool.images[rows], torch.from_numpy(self.pool.labels[rows])
        copies = augmented(images[plain:], self.draw)
        images = torch.cat([images[:plain], copies]).contiguous(memory_format=torch.channels_last)
        loss = (self.weights[places] * cross_entropy(self.network(images), labels, reduction="none")).mean()
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()
        self._follow()

    @torch.no_grad()
    def _follow(self) -> None:
        kept = min(AVERAGE, 1 - BATCH / (BATCH + self.cost.passes))  # at first the mean of all, then a window
        for mean, now in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mean.dtype.is_floating_point:
                mean.lerp_(now, 1 - kept)

    def accuracy(self, test: Pictures) -> float:
        """Of the running average, in percent."""
        return 100 * float((predicted(self.average, test.images).argmax(axis=1) == test.labels).mean())


Chooser = Callable[[TrainingTask, int], Selection]


@dataclass(frozen=True)
class Bench:
    """The data and the sizes that all trainings share."""

    pool: Pictures
    test: Pictures
    args: argparse.Namespace

    @property
    def batches(self) -> int:
        """The steps of one training."""
        return math.ceil(2 * len(self.pool) * float(self.args.epochs) / BATCH)

    def run(self, arm: str, share: float, seed: int) -> Training:
        """One training, tested `checks` times; a new subset for each of `rounds` parts where the arm says so."""
        training_task = TrainingTask(self.pool, self.args.width, seed)
        found = Training(arm, share, seed)
        renewed = np.linspace(0, self.batches, self.args.rounds + 1).astype(int)[:-1]
        tested = np.linspace(0, self.batches, self.args.checks + 1).astype(int)[1:]
        marks = sorted({*renewed.tolist(), *tested.tolist()})
        for start, end in itertools.pairwise(marks):
            if start in renewed and (start == 0 or arm in AGAIN):
                self._renew(training_task, arm, share, seed, round(start * self.args.rounds / self.batches))
            training_task.steps(end - start)
            if end in tested:
                cost = training_task.cost
                found.tests.append((cost.passes, cost.cpu, cost.wall, training_task.accuracy(self.test)))
        found.selection = training_task.cost.selection
        return found

    def _renew(self, training_task: TrainingTask, arm: str, share: float, seed: int, part: int) -> None:
        budget = round(share * len(self.pool))
        with training_task.cost.counted(selecting=True):
            if arm == "coreset-once":
                subset = self._by_features(training_task, budget, seed)
            elif part == 0 or arm in ("full", "random-again"):
                subset = self._by_chance(budget, seed, part)
            else:
                subset = self._by_residual(training_task, arm, budget)
        training_task.use(subset)

    def _by_chance(self, budget: int, seed: int, part: int) -> Selection:
        drawn = keys(len(self.pool), seed, 2, part)
        return random_subset(len(self.pool), budget, labels=self.pool.labels, keys=drawn)

    def _by_residual(self, training_task: TrainingTask, arm: str, budget: int) -> Selection:
        logits, labels = predicted(training_task.network, self.pool.images), self.pool.labels
        if arm == "max-loss":
            return largest(losses(logits, labels), budget, labels=labels)
        found = facility_location(softmax_residual(logits, labels), budget, labels=labels, similarity="euclidean")
        return found if arm == "coreset-again" else _without_weights(found)

    def _by_features(self, training_task: TrainingTask, budget: int, seed: int) -> Selection:
        """Of a network of its own, which is trained for a little on all; its passes are part of the cost."""
        brief = TrainingTask(self.pool, self.args.width, seed + 1000)
        brief.use(self._by_chance(len(self.pool), seed, 0))
        brief.steps(math.ceil(2 * len(self.pool) * self.args.warm / BATCH))
        training_task.cost.passes += brief.cost.passes
        features = predicted(brief.network.body, self.pool.images)
        return facility_location(features, budget, labels=self.pool.labels)


def _without_weights(found: Selection) -> Selection:
    return Selection(found.indices, found.gains, np.ones(len(found.indices)), 0.0, 0.0, found.method)


def plan(args: argparse.Namespace) -> list[tuple[str, float, int]]:
    """Arm, share and seed of each training; seed after seed, so that what time leaves out is whole seeds."""
    trainings = []
    for seed in range(args.seeds):
        trainings.append(("full", 1.0, seed))
        trainings += [(arm, share, seed) for share in args.shares for arm in args.arms]
    return trainings


def mean_spread(values: list[float]) -> str:
    """Such as "61.20 ± 0.35"; the spread of one value is not known."""
    spread = f"{statistics.stdev(values):.2f}" if len(values) > 1 else "?"
    return f"{statistics.mean(values):.2f} ± {spread}"


def table(done: list[Training], target: float) -> list[str]:
    """Markdown: one line for each arm and share."""
    groups: dict[tuple[float, str], list[Training]] = {}
    for one in done:
        groups.setdefault((one.share, one.arm), []).append(one)
    lines = [
        "| share | arm | seeds | accuracy % | minus random, same seed | seconds (cpu) | of it selecting "
        "| target reached | passes to it | cpu s to it | wall s to it |",
        "|---" * 11 + "|",
    ]
    for (share, arm), runs in groups.items():
        plain = {one.seed: one.accuracy for one in groups.get((share, "random"), [])}
        gains = [one.accuracy - plain[one.seed] for one in runs if one.seed in plain]
        times = [time_to for one in runs if (time_to := one.reached(target))]
        means = [statistics.mean(column) for column in zip(*times, strict=True)]
        to_target = f"{means[0]:,.0f} | {means[1]:.1f} | {means[2]:.1f}" if means else "not reached | - | -"
        lines.append(
            f"| {share:.0%} | {arm} | {len(runs)} | {mean_spread([one.accuracy for one in runs])} "
            f"| {mean_spread(gains) if gains and arm != 'random' else '-'} "
            f"| {statistics.mean(one.tests[-1][1] for one in runs):.1f} "
            f"| {statistics.mean(one.selection for one in runs):.1f} | {len(times)} of {len(runs)} | {to_target} |"
        )
    return lines


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/cifar10"), help="the folder of the two files")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.05, 0.1, 0.3], help="sizes of the subsets")
    parser.add_argument("--arms", nargs="+", choices=SUBSETS, default=list(SUBSETS[:4]))
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--epochs", type=float, default=5.0, help="over the pool and its copies")
    parser.add_argument("--pool", type=int, default=50_000, help="how many training images there are to choose from")
    parser.add_argument("--test", type=int, default=10_000, help="how many test images")
    parser.add_argument("--rounds", type=int, default=5, help="parts of a training with a subset each")
    parser.add_argument("--checks", type=int, default=10, help="tests of a training")
    parser.add_argument("--warm", type=float, default=0.25, help="epochs of coreset-once's own network")
    parser.add_argument("--width", type=int, default=16, help="channels after the first convolution")
    parser.add_argument("--target", type=float, default=0.98, help="of full's accuracy")
    parser.add_argument("--minutes", type=float, default=math.inf, help="start no training after so many")
    parser.add_argument("--quick", action="store_true", help="a small pool, one seed, a fraction of an epoch")
    args = parser.parse_args()
    if args.quick:
        args.pool, args.test, args.seeds, args.epochs = 2000, 500, 1, 1.0
    return args


def main() -> None:
    """Print a line as each training ends, then the table and JSON."""
    args, began = options(), time.perf_counter()
    torch.set_num_threads(1)
    pool = balanced(read(args.data / "cifar10_train.parquet"), args.pool)
    bench = Bench(pool, balanced(read(args.data / "cifar10_test.parquet"), args.test), args)
    weights = sum(one.numel() for one in Network(args.width).parameters())
    print(f"{len(pool)} images to choose from, {len(bench.test)} to test; {weights:,} weights; {bench.batches} steps")
    done, left = [], plan(args)
    while left and time.perf_counter() - began < 60 * args.minutes:
        done.append(bench.run(*left.pop(0)))
        one, cost = done[-1], done[-1].tests[-1]
        curve = " ".join(f"{test[3]:.1f}" for test in one.tests)
        said = f"{one.share:4.0%} {one.arm:14} seed {one.seed}: {one.accuracy:5.2f} %  {cost[1]:5.1f} s cpu"
        print(f"{said}, {cost[2]:5.1f} s, selecting {one.selection:5.1f} s  [{curve}]", flush=True)
    target = args.target * statistics.mean(one.accuracy for one in done if one.arm == "full")
    print(f"\ntarget {target:.2f} %; {(time.perf_counter() - began) / 60:.1f} minutes in all")
    if left:
        print("no time was left for: " + ", ".join(f"{arm} {share:.0%} seed {seed}" for arm, share, seed in left))
    print("\n" + "\n".join(table(done, target)) + "\n\n" + json.dumps([asdict(one) for one in done]))


if __name__ == "__main__":
    main()
