"""Prepare a bare GPU machine without a network: the wheels that it lacks, and augforge, in parts of a limited size.

    scripts/gpu-pack                                 for what benchmarks/gpu/have.txt says that it has
    scripts/gpu-pack --have freeze.txt               the same, from its `pip list --format=freeze`

It needs Python 3.12 on Linux, x86-64, with a CUDA build of torch. Every part fits in the limit with the working tree.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from gpu.runner import ROOT
from gpu.wheels import NoWheel, Parcel, build, download, read_have, read_pins, wanted

MIB = 2**20
HAVE = Path(__file__).with_name("have.txt")
MARGIN = MIB
"""Left free in every part, for what a transport adds."""
SITE = "/tmp/site"


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch, divide, print sizes and commands; 1 where something is missing or does not fit."""
    given = _parser().parse_args(argv)
    shutil.rmtree(given.out, ignore_errors=True)
    given.out.mkdir(parents=True)
    parcel = Parcel(given.out, read_have(given.have), read_pins(ROOT / "constraints.txt"), download)
    parcel.add(wanted(ROOT / "pyproject.toml"))
    try:
        build(tree_copy(Path(holder := tempfile.mkdtemp())), given.out)
    except NoWheel as error:
        parcel.problems.append(str(error))
    finally:
        shutil.rmtree(holder)
    for problem in parcel.problems:
        print(f"missing: {problem}", file=sys.stderr)
    tree, limit = tree_size(ROOT), int(given.limit_mib * MIB)
    sizes = {path: path.stat().st_size for path in sorted(given.out.glob("*.whl"))}
    too_big = show_parts(divided(sizes, limit - tree - MARGIN), tree, limit, given.out)
    return 1 if parcel.problems or too_big else 0


def divided(sizes: Mapping[Path, int], room: int) -> list[list[Path]]:
    """The files in as few parts of at most `room` bytes as first-fit, the largest first, finds.

    A file that is larger than a part is in a part of its own.
    """
    parts: list[list[Path]] = []
    for path in sorted(sizes, key=lambda path: (-sizes[path], path)):
        fitting = [part for part in parts if sum(sizes[one] for one in part) + sizes[path] <= room]
        if fitting:
            fitting[0].append(path)
        else:
            parts.append([path])
    return parts


def show_parts(parts: Sequence[Sequence[Path]], tree: int, limit: int, out: Path) -> bool:
    """Move the files into folders, print their sizes and the commands; whether a part is too big."""
    commands, too_big = [], False
    for number, part in enumerate(parts, 1):
        folder = out / f"part-{number}"
        folder.mkdir()
        for path in part:
            print(f"{path.stat().st_size / MIB:8.2f} MiB  {folder.name}  {path.name}")
            path.rename(folder / path.name)
        whole = tree + sum(path.stat().st_size for path in folder.iterdir())
        too_big |= whole > limit
        fits = "fits" if whole <= limit else "DOES NOT FIT"
        print(f"{folder.name} with the working tree: {whole / MIB:.1f} of {limit / MIB:g} MiB, {fits}")
        commands.append(install_command(folder))
    print("\nOn the machine, in the working tree's root:\n")
    print("\n".join([*commands, f"PYTHONPATH={SITE} scripts/gpu --out results"]))
    return too_big


def install_command(folder: Path) -> str:
    """What installs the wheels of a part, beside what is there."""
    shown = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    return (
        "python3 -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --upgrade "
        f"--target {SITE} {shown}/*.whl"
    )


def tree_files(root: Path) -> list[Path]:
    """The files of the working tree: tracked, or new and not ignored."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    return [path for name in names if name and (path := root / name).is_file()]


def tree_size(root: Path) -> int:
    """Bytes of the working tree."""
    return sum(path.stat().st_size for path in tree_files(root))


def tree_copy(folder: Path) -> Path:
    """The working tree's files in `folder`: built from there, a wheel holds nothing of an earlier build."""
    for path in tree_files(ROOT):
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return folder


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "gpu-pack", help="folder of the parts; made anew")
    parser.add_argument("--have", type=Path, default=HAVE, help="what the machine has, a package a line")
    parser.add_argument("--limit-mib", type=float, default=64, help="of the working tree and one part together")
    return parser
