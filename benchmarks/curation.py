"""Every side-by-side figure of curation from one command, written into RESULTS.md.

    python benchmarks/curation.py --photos FOLDER --cifar FOLDER --oracle PYTHON
    python benchmarks/curation.py --quick

selection   beside apricot at n = 5,000 to 20,000, beside submodlib, and the slope to 1,000,000
duplicates  beside imagededup on the same JPEGs, at two sizes; 1,000,000 hashes
plain       false pairs and recall on drawings, icons, digits, slices and screenshots, beside photographs
embeddings  end to end over the bare forward rate; what a loader can feed
training    accuracy on a coreset against random subsets (CIFAR-10)

What needs FOLDERs or an interpreter with imagededup that were not given is left out and said to be not measured.
`--only` names the parts to run; the sections of the others stay as they are. About an hour in all, on an idle machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from sections import run_and_show, write_section

Commands = list[list[str]]


def selection(given: argparse.Namespace) -> Commands:
    """Facility location beside other libraries, then larger."""
    if given.quick:
        return [["selection.py", "--quick", "--methods", "random", "k-center", "dense", "auto", "--certify"]]
    rivals = ["random", "k-center", "dense", "auto", "apricot", "submodlib"]
    return [
        ["selection.py", "--rows", "5000", "10000", "20000", "--repeats", "3", "--methods", "dense", "auto", "apricot"],
        ["selection.py", "--rows", "20000", "--repeats", "1", "--certify", "--methods", *rivals],
        ["selection.py", "--rows", "20000", "200000", "1000000", "--repeats", "1", "--methods", "auto"],
    ]


def duplicates(given: argparse.Namespace) -> Commands:
    """Hashes beside imagededup's, and a million of them."""
    many: Commands = [["duplicates.py", "--hashes", "20000" if given.quick else "1000000"]]
    if given.photos is None or given.oracle is None:
        return many
    common = ["duplicates.py", "--data", str(given.photos), "--oracle", given.oracle, "--repeats", "3"]
    return [common, [*common, "--size", "428", "305", "--hash-only"], *many]


def plain(given: argparse.Namespace) -> Commands:
    """Plain pictures beside photographs, by the hash alone and with the closer look."""
    named = {"--photos": given.photos, "--cifar": given.cifar, "--slices": given.slices}
    files = [word for option, path in named.items() if path for word in (option, str(path))]
    return [["plain_pictures.py", *files, *["--quick"] * given.quick]]


def embeddings(given: argparse.Namespace) -> Commands:
    """End to end over bare, and the loader alone."""
    short = ["--batches", "1", "--repeats", "1"] if given.quick else ["--batches", "2", "--repeats", "5"]
    return [
        ["embed.py", "rate", *short],
        ["embed.py", "rate", *short, "--threads", "2"],
        ["embed.py", "decode", "--seconds", "0.3" if given.quick else "3"],
        ["embed.py", "loader", "--images", "128" if given.quick else "2000", "--repeats", "3"],
    ]


def training(given: argparse.Namespace) -> Commands:
    """Does a subset train better?"""
    if given.cifar is None:
        return []
    size = ["--quick"] if given.quick else ["--pool", "20000", "--test", "2500", "--epochs", "2"]
    return [["subset_training.py", "--data", str(given.cifar), *size]]


PARTS: dict[str, Callable[[argparse.Namespace], Commands]] = {
    "selection": selection,
    "duplicates": duplicates,
    "plain": plain,
    "embeddings": embeddings,
    "training": training,
}


def text_of(commands: Sequence[Sequence[str]]) -> str:
    """What all commands printed."""
    return "\n\n".join(run_and_show(command) for command in commands) or "Not measured."


def main() -> None:
    """Run the parts, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder of photos, for duplicates")
    parser.add_argument("--cifar", type=Path, help="the folder of cifar10_train.parquet and cifar10_test.parquet")
    parser.add_argument("--slices", type=Path, help="a volume, .nii.gz, for plain")
    parser.add_argument("--oracle", help="a Python that can import imagededup")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="small, for trying out; prints, and writes nothing")
    given = parser.parse_args()
    for name in given.only:
        text = text_of(PARTS[name](given))
        if not given.quick:
            write_section(f"curation-{name}", text)


if __name__ == "__main__":
    main()
