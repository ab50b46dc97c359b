"""Selectors side by side: seconds, peak memory and the objective.

    python benchmarks/selection.py --rows 5000 20000 --methods random k-center dense sparse

Clustered unit vectors (`--clusters` directions plus noise), budget `--share` of the rows. Every cell is a fresh
process, so its peak memory is its own; "base" is the peak once the libraries and the data are there. Seconds
are those of the selection alone. The objective, sum_i max_j max(cos, 0), is recomputed in float64 from the
chosen rows, so that methods compare; "of best" is relative to the largest in the table, "bound" is the method's
own upper bound on what any choice reaches. On a busy machine compare rows of one table, not tables.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
from numpy.typing import NDArray

from augforge.select import Selection, facility_location, k_center, random_subset

METHODS = ("random", "k-center", "dense", "sparse", "naive")


def mixture(n: int, d: int, clusters: int) -> NDArray[np.float32]:
    """(n, d) unit vectors; two of the same cluster have a cosine of about 0.7."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(clusters, d)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    features = draw.standard_normal(size=(n, d), dtype=np.float32)
    features *= 0.65 / np.sqrt(d)
    features += centres[draw.integers(clusters, size=n)]
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features


def select(method: str, features: NDArray[np.float32], budget: int, neighbours: int) -> Selection:
    """Choose `budget` rows of `features` (n, d)."""
    if method == "random":
        keys = np.random.default_rng(1).integers(0, 2**64, size=len(features), dtype=np.uint64)
        return random_subset(len(features), budget, keys=keys)
    if method == "k-center":
        return k_center(features, budget)
    return facility_location(features, budget, method=method, neighbours=neighbours)  # type: ignore[arg-type]


def objective(features: NDArray[np.float32], chosen: NDArray[np.int64]) -> float:
    """sum_i max_{j chosen} max(cos_ij, 0), 2,000 rows at a time."""
    centres = features[chosen].T
    parts = [features[start : start + 2000] @ centres for start in range(0, len(features), 2000)]
    return float(sum(np.maximum(part.max(axis=1), 0).sum(dtype=np.float64) for part in parts))


def peak_mb() -> float:
    """The most memory this process has held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e6 / 1024)


def measure(method: str, args: argparse.Namespace) -> dict[str, float]:
    """One cell, in this process."""
    import faiss  # noqa: F401  loading it is no part of the selection

    features = mixture(args.rows[0], args.dims, args.clusters)
    base, start, cpu = peak_mb(), time.perf_counter(), time.process_time()
    chosen = select(method, features, budget_of(args.rows[0], args.share), args.neighbours)
    cell = {"seconds": time.perf_counter() - start, "cpu s": time.process_time() - cpu}
    cell |= {"peak MB": peak_mb(), "base MB": base, "objective": objective(features, chosen.indices)}
    return cell | {"bound": chosen.upper_bound}


def budget_of(rows: int, share: float) -> int:
    """How many rows to choose."""
    return max(1, int(share * rows))


def in_a_fresh_process(method: str, rows: int) -> dict[str, float]:
    """The same script with the same options, for one cell. The last of repeated options counts."""
    command = [sys.executable, __file__, *sys.argv[1:], "--methods", method, "--rows", str(rows), "--cell"]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def print_table(cells: dict[str, dict[str, float]]) -> None:
    """One line a method."""
    print(f"{'method':10}{'seconds':>9}{'cpu s':>9}{'peak MB':>9}{'base MB':>9}{'objective':>12}{'of best':>11}  bound")
    best = max(cell["objective"] for cell in cells.values())
    for method, cell in cells.items():
        line = f"{method:10}{cell['seconds']:9.2f}{cell['cpu s']:9.2f}{cell['peak MB']:9.0f}{cell['base MB']:9.0f}"
        bound = "-" if method in ("random", "k-center") else f"{cell['bound']:.2f}"
        print(f"{line}{cell['objective']:12.2f}{cell['objective'] / best:11.3%}  {bound}")


def main() -> None:
    """Read the options, print a table for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[5000, 20000])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["random", "k-center", "dense", "sparse"])
    parser.add_argument("--share", type=float, default=0.1, help="budget as a share of the rows")
    parser.add_argument("--dims", type=int, default=512)
    parser.add_argument("--clusters", type=int, default=200)
    parser.add_argument("--neighbours", type=int, default=100)
    parser.add_argument("--cell", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cell:
        print(json.dumps(measure(args.methods[0], args)))
        return
    for rows in args.rows:
        print(f"\n{rows} rows, budget {budget_of(rows, args.share)}")
        print_table({method: in_a_fresh_process(method, rows) for method in args.methods})


if __name__ == "__main__":
    main()
