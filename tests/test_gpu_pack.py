"""scripts/gpu-pack: what is missing comes with what it requires, in parts that fit, or is named."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from gpu import pack, wheels  # noqa: E402
from gpu.wheels import NoWheel, Parcel  # noqa: E402

INDEX = {
    "a": ["b>=2", "c; python_version < '3.12'", "d; extra == 'more'"],
    "b": ["here>=3", "a"],
    "c": [],
    "d": ["e"],
    "e": [],
    "here": ["gone; sys_platform == 'linux'", "gone-too; sys_platform == 'win32'"],
    "needs-torch": ["torch>=9"],
}


def fetch(requirement: Requirement, folder: Path) -> Path:
    """A wheel of the small index above."""
    if requirement.name not in INDEX:
        raise NoWheel(f"{requirement}: no such package")
    path = folder / f"{requirement.name.replace('-', '_')}-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        lines = [f"Requires-Dist: {line}\n" for line in INDEX[requirement.name]]
        archive.writestr(
            f"{requirement.name}-1.dist-info/METADATA", f"Name: {requirement.name}\n{''.join(lines)}\nText\n"
        )
        archive.writestr("inner/x.dist-info/METADATA", "Requires-Dist: nonsense-of-a-vendored-copy\n")
    return path


def packed(tmp_path: Path, have: dict[str, str | None], *lines: str) -> Parcel:
    parcel = Parcel(tmp_path, have, {}, fetch)
    parcel.add(Requirement(line) for line in lines)
    return parcel


def test_what_is_required_in_turn_comes_too(tmp_path):
    parcel = packed(tmp_path, {"here": "3.1"}, "a[more]")
    assert set(parcel.wheels) == {"a", "b", "d", "e"} and parcel.problems == []
    assert set(packed(tmp_path, {"here": None}, "a").wheels) == {"a", "b"}, "an unknown version is taken for fitting"


def test_what_is_there_but_too_old_comes_too_and_what_is_not_to_be_had_is_named(tmp_path):
    parcel = packed(tmp_path, {"here": "2.9"}, "a")
    assert set(parcel.wheels) == {"a", "b", "here"}
    assert parcel.problems == ["gone: no such package"]


def test_torch_is_never_brought(tmp_path):
    parcel = packed(tmp_path, {"torch": "2.1"}, "needs-torch")
    assert parcel.problems == ["torch>=9: too big to bring along, and the machine has 2.1"]
    assert packed(tmp_path, {"torch": "9.5+cu130"}, "needs-torch").problems == []


def test_pins_leave_the_choice_to_the_versions_that_were_tested(tmp_path):
    asked = []
    parcel = Parcel(
        tmp_path, {}, {"e": "7"}, lambda requirement, _: asked.append(str(requirement)) or fetch(requirement, _)
    )
    parcel.add([Requirement("e>=1"), Requirement("c; python_version > '3'")])
    assert asked == ["e==7", "c"]


def test_a_list_of_what_is_there(tmp_path):
    path = tmp_path / "freeze.txt"
    path.write_text("# a list\nOpen_CLIP.torch==3.3\ntorch==2.11.0+cu130\nplain\nlocal @ file:///x.whl\n\n")
    found = wheels.read_have(path)
    assert found == {"open-clip-torch": "3.3", "torch": "2.11.0+cu130", "plain": None, "local": None}
    path.write_text("no package at all\n")
    with pytest.raises(SystemExit, match="no package"):
        wheels.read_have(path)


def test_parts_have_room_for_all(tmp_path):
    sizes = {Path(name): size for name, size in {"a": 6, "b": 5, "c": 4, "d": 4, "e": 1}.items()}
    parts = pack.divided(sizes, 10)
    assert parts == [[Path("a"), Path("c")], [Path("b"), Path("d"), Path("e")]]
    assert pack.divided({**sizes, Path("z"): 11}, 10)[0] == [Path("z")], "by itself, to be seen as too big"


def test_sizes_are_checked_and_the_commands_shown(tmp_path, capsys):
    for name in "ab":
        (tmp_path / f"{name}.whl").write_bytes(b"x" * 3 * pack.MIB)
    parts = [[tmp_path / "a.whl"], [tmp_path / "b.whl"]]
    assert not pack.show_parts(parts, 2 * pack.MIB, 5 * pack.MIB, tmp_path)
    said = capsys.readouterr().out
    assert "part-2 with the working tree: 5.0 of 5 MiB, fits" in said
    assert said.count("pip install") == 2 and said.rstrip().endswith("scripts/gpu --out results")
    assert (tmp_path / "part-1" / "a.whl").is_file()
    whole = [[tmp_path / "part-1" / "a.whl"]]
    assert (
        pack.show_parts(whole, 3 * pack.MIB, 5 * pack.MIB, tmp_path / "part-2")
        and "DOES NOT FIT" in capsys.readouterr().out
    )


def test_the_list_covers_what_augforge_requires():
    """Of every dependency it is known whether the machine has it; torch is there, diffusers is brought."""
    have = wheels.read_have(pack.HAVE)
    names = {requirement.name: requirement for requirement in wheels.wanted(ROOT / "pyproject.toml")}
    assert {"torch", "simplejpeg", "pytest"} <= names.keys()
    assert names["torch"].specifier.contains(have["torch"]) and "diffusers" not in have


def test_the_tree_leaves_room_for_the_wheels():
    assert pack.tree_size(ROOT) < 30 * pack.MIB
    copied = {str(path.relative_to(ROOT)) for path in pack.tree_files(ROOT)}
    assert "pyproject.toml" in copied and not any(name.startswith((".git/", "build/")) for name in copied)
