"""Selectors side by side in one run: seconds, peak memory, the objective, and other libraries.

    python benchmarks/selection.py                         the table at 20,000 rows, and the bars
    python benchmarks/selection.py --quick                 a short one at 3,000 rows
    python benchmarks/selection.py --methods auto partition --rows 20000 200000 --memory 64 --repeats 1

Clustered unit vectors (`--clusters` directions plus noise), budget `--share` of the rows. Every cell is a fresh
process, so its peak memory is its own; "base" is the peak once the libraries and the data are there. Seconds are
those of the selection alone, from features to chosen rows; of `--repeats` rounds, in each of which every method
has its turn, the median. Ratios are taken within a round. The objective, sum_i max_j max(cos, 0), is recomputed from
the chosen rows, so that methods compare; "of exact" is relative to the dense method, or else to the largest. "bound"
is what no choice exceeds, as the method itself says; with `--certify` the certificate's, and the seconds it takes. On
a busy machine compare rows of one table, not tables.

apricot and submodlib need `pip install apricot-select submodlib-py`; `--oracles` names the Python of an
environment that has them, if it is not this one. Both are given the similarities, computed within their time, and
use their lazy greedy. apricot compiles when first used: a small selection before the clock starts takes care of it.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Features = NDArray[np.float32]
Cell = dict[str, float]

OURS = ("random", "k-center", "auto", "dense", "sparse", "partition", "naive")
THEIRS = ("apricot", "submodlib")


def mixture(n: int, d: int, clusters: int) -> Features:
    """(n, d) unit vectors; two of the same cluster have a cosine of about 0.7."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(clusters, d)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    features = draw.standard_normal(size=(n, d), dtype=np.float32)
    features *= 0.65 / np.sqrt(d)
    features += centres[draw.integers(clusters, size=n)]
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features


def similarities(features: Features) -> Features:
    """(n, n) max(cos, 0) of unit vectors (n, d)."""
    values: Features = features @ features.T
    return np.maximum(values, 0, out=values)


def by_apricot(features: Features, budget: int) -> Rows:
    """The rows that apricot's lazy greedy chooses."""
    from apricot import FacilityLocationSelection

    selector = FacilityLocationSelection(budget, metric="precomputed", optimizer="lazy")
    return np.asarray(selector.fit(similarities(features)).ranking, dtype=np.int64)


def by_submodlib(features: Features, budget: int) -> Rows:
    """The rows that submodlib's lazy greedy chooses."""
    from submodlib import FacilityLocationFunction

    kernel = similarities(features)
    function = FacilityLocationFunction(n=len(features), mode="dense", sijs=kernel, separate_rep=False)
    found = function.maximize(budget, "LazyGreedy", stopIfZeroGain=False, stopIfNegativeGain=False)
    return np.array([row for row, _ in found], dtype=np.int64)


def by_augforge(method: str, args: argparse.Namespace) -> Callable[[Features, int], tuple[Rows, Cell]]:
    """What chooses by one of our methods, and what it says of its choice."""
    from augforge.algorithms.selection import certify, facility_location, k_center, random_subset

    def choose(features: Features, budget: int) -> tuple[Rows, Cell]:
        if method == "random":
            keys = np.random.default_rng(1).integers(0, 2**64, size=len(features), dtype=np.uint64)
            return random_subset(len(features), budget, keys=keys).indices, {}
        if method == "k-center":
            return k_center(features, budget).indices, {}
        start, cpu = time.perf_counter(), time.process_time()
        memory = args.memory << 20
        found = facility_location(
            features, budget, method=method, neighbours=args.neighbours, memory_budget_bytes=memory
        )
        said = {"seconds": time.perf_counter() - start, "cpu s": time.process_time() - cpu, "peak MB": peak_mb()}
        said |= {"bound": found.upper_bound, "objective": found.objective}
        print(f"{method}: {'; '.join(found.notes)}", file=sys.stderr)
        if args.certify:
            start = time.perf_counter()
            said["bound"] = certify(features, found).upper_bound
            said["certify s"] = time.perf_counter() - start
        return found.indices, said

    return choose


def chooser(method: str, args: argparse.Namespace) -> Callable[[Features, int], tuple[Rows, Cell]]:
    """What chooses by `method`, warmed up."""
    if method in OURS:
        importlib.import_module("faiss")  # loading libraries is no part of the selection
        importlib.import_module("scipy.sparse")
        return by_augforge(method, args)
    select = by_apricot if method == "apricot" else by_submodlib
    select(mixture(300, 8, 5), 5)
    return lambda features, budget: (select(features, budget), {})


def objective(features: Features, chosen: Rows) -> float:
    """sum_i max_{j chosen} max(cos_ij, 0), as many rows at a time as fit into 64 MB."""
    centres = features[chosen].T
    step = max(1, (16 << 20) // len(chosen))
    parts = [features[start : start + step] @ centres for start in range(0, len(features), step)]
    return float(sum(np.maximum(part.max(axis=1), 0).sum(dtype=np.float64) for part in parts))


def peak_mb() -> float:
    """The most memory this process has held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e6 / 1024)


def measure(method: str, args: argparse.Namespace) -> Cell:
    """One cell, in this process."""
    choose = chooser(method, args)
    features = mixture(args.rows[0], args.dims, args.clusters)
    cell = {"base MB": peak_mb()}
    start, cpu = time.perf_counter(), time.process_time()
    chosen, said = choose(features, budget_of(args.rows[0], args.share))
    cell |= {"seconds": time.perf_counter() - start, "cpu s": time.process_time() - cpu, "peak MB": peak_mb()}
    cell |= {"objective": math.nan, "bound": math.nan, "certify s": math.nan} | said
    if len(features) * len(chosen) <= args.pairs:
        cell["objective"] = objective(features, chosen)
    return cell


def budget_of(rows: int, share: float) -> int:
    """How many rows to choose."""
    return max(1, int(share * rows))


def in_a_fresh_process(method: str, rows: int, args: argparse.Namespace) -> Cell:
    """The same script with the same options, for one cell. The last of repeated options counts."""
    python = args.oracles if method in THEIRS and args.oracles else sys.executable
    command = [python, __file__, *sys.argv[1:], "--methods", method, "--rows", str(rows), "--cell"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    if method in OURS and done.stderr.strip() and not args.quiet:
        print(f"  {done.stderr.strip().splitlines()[-1]}")
    found: Cell = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def there(method: str, args: argparse.Namespace) -> bool:
    """Whether the library of a method is to be had; says so if not."""
    module = {"apricot": "apricot", "submodlib": "submodlib"}.get(method)
    if module is None or args.oracles or importlib.util.find_spec(module):
        return True
    print(f"{method} is not installed: left out")
    return False


def median(cells: Sequence[Cell]) -> Cell:
    """The median of each number."""
    return {name: statistics.median(cell[name] for cell in cells) for name in cells[0]}


def print_table(cells: dict[str, Cell]) -> None:
    """One line a method."""
    names = ("seconds", "cpu s", "peak MB", "base MB", "objective", "of exact", "bound", "certify s")
    print(f"{'method':10}" + "".join(f"{name:>12}" for name in names))
    known = [cell["objective"] for cell in cells.values() if not math.isnan(cell["objective"])]
    exact = cells["dense"]["objective"] if "dense" in cells else max(known, default=math.nan)
    for method, cell in cells.items():
        line = f"{method:10}{cell['seconds']:12.2f}{cell['cpu s']:12.2f}{cell['peak MB']:12.0f}{cell['base MB']:12.0f}"
        line += f"{cell['objective']:12.2f}{cell['objective'] / exact:12.4%}{cell['bound']:12.2f}"
        print(f"{line}{cell['certify s']:12.2f}")


def print_ratios(rounds: dict[str, list[Cell]], method: str = "auto") -> None:
    """How much faster and smaller `method` is than the other libraries."""
    for other in THEIRS:
        if other not in rounds or method not in rounds:
            continue
        pairs = list(zip(rounds[other], rounds[method], strict=True))
        for clock in ("seconds", "cpu s"):
            times = [theirs[clock] / ours[clock] for theirs, ours in pairs]
            print(f"{method} is {spread(times, '.1f')} times as fast as {other} by {clock}")
        whole = [ours["peak MB"] / theirs["peak MB"] for theirs, ours in pairs]
        own = [(ours["peak MB"] - ours["base MB"]) / (theirs["peak MB"] - theirs["base MB"]) for theirs, ours in pairs]
        print(f"  with {spread(whole, '.3f')} of its peak memory, {spread(own, '.3f')} of its memory beyond the base")


def spread(values: Sequence[float], digits: str) -> str:
    """The median of some values, and the least and largest."""
    return f"{statistics.median(values):{digits}} ({min(values):{digits}} to {max(values):{digits}})"


def print_slopes(tables: dict[int, dict[str, Cell]]) -> None:
    """The log-log slope of seconds against rows, from the first table to each later one."""
    first, *later = sorted(tables)
    for rows in later:
        for method in tables[rows].keys() & tables[first].keys():
            ratio = tables[rows][method]["seconds"] / tables[first][method]["seconds"]
            print(f"{method}: slope {math.log(ratio) / math.log(rows / first):.2f} from {first} to {rows} rows")


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=None, help="20000; 3000 with --quick")
    parser.add_argument("--methods", nargs="+", choices=OURS + THEIRS, default=None, help="all but naive and sparse")
    parser.add_argument("--share", type=float, default=0.1, help="budget as a share of the rows")
    parser.add_argument("--dims", type=int, default=512)
    parser.add_argument("--clusters", type=int, default=200)
    parser.add_argument("--neighbours", type=int, default=100)
    parser.add_argument("--memory", type=int, default=512, help="MiB for similarities")
    parser.add_argument("--repeats", type=int, default=None, help="3; 1 with --quick")
    parser.add_argument("--pairs", type=float, default=1e10, help="beyond, the objective is what the method says")
    parser.add_argument("--quick", action="store_true", help="a short run")
    parser.add_argument("--certify", action="store_true", help="certify each selection, outside its seconds")
    parser.add_argument("--oracles", help="the Python that has apricot and submodlib")
    parser.add_argument("--quiet", action="store_true", help="do not print what each selection says of itself")
    parser.add_argument("--cell", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.rows = args.rows or [3000 if args.quick else 20000]
    args.repeats = args.repeats or (1 if args.quick else 3)
    args.methods = args.methods or ["random", "k-center", "dense", "auto", "partition", *THEIRS]
    return args


def main() -> None:
    """Print a table for each number of rows, then the ratios and slopes."""
    args = options()
    if args.cell:
        print(json.dumps(measure(args.methods[0], args)))
        return
    methods = [method for method in args.methods if there(method, args)]
    tables = {}
    for rows in args.rows:
        print(f"\n{rows} rows of {args.dims}, budget {budget_of(rows, args.share)}, {args.repeats} rounds")
        rounds: dict[str, list[Cell]] = {method: [] for method in methods}
        for _ in range(args.repeats):
            for method in methods:
                rounds[method].append(in_a_fresh_process(method, rows, args))
        tables[rows] = {method: median(cells) for method, cells in rounds.items()}
        print_table(tables[rows])
        print_ratios(rounds)
    print_slopes(tables)


if __name__ == "__main__":
    main()
