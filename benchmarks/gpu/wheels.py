"""Which wheels another machine lacks, and how to have them: a closure over what wheels say that they require."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.parser import Parser
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

PYTHON = "3.12"
PLATFORMS = [*(f"manylinux_2_{minor}_x86_64" for minor in range(39, 16, -1)), "manylinux2014_x86_64", "linux_x86_64"]
"""A tag of a wheel is matched exactly, so all that a recent Linux takes are named."""
TARGET = {
    "python_version": PYTHON,
    "python_full_version": f"{PYTHON}.0",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "os_name": "posix",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}
EXTRAS = ("embed", "generate", "jpeg", "report", "select", "shifts", "train")
"""Of augforge itself: what measuring needs."""
TESTS = ("pytest",)
TOO_BIG = ("torch", "torchvision", "triton")
"""What no parcel has room for."""

Have = Mapping[NormalizedName, str | None]
"""What a machine has: the version of a package, None where it is not known, and taken for fitting."""
Fetch = Callable[[Requirement, Path], Path]


class NoWheel(Exception):
    """A wheel is not to be had; the message is one line."""


def read_have(path: Path) -> dict[NormalizedName, str | None]:
    """The packages of a file with one `name==version` or `name` a line, as `pip list --format=freeze` writes it."""
    have: dict[NormalizedName, str | None] = {}
    for line in path.read_text("utf-8").splitlines():
        words = line.partition("#")[0].strip()
        if not words:
            continue
        try:
            requirement = Requirement(words.partition("@")[0] if " @ " in words else words)
        except InvalidRequirement as error:
            raise SystemExit(f"{path}: {words!r} is no package: write name==version") from error
        versions = [clause.version for clause in requirement.specifier if clause.operator == "=="]
        have[canonicalize_name(requirement.name)] = versions[0] if versions else None
    return have


def wanted(project: Path) -> list[Requirement]:
    """What augforge requires to be measured: its dependencies, the extras of `EXTRAS`, and pytest."""
    facts = tomllib.loads(project.read_text("utf-8"))["project"]
    lines = [*facts["dependencies"], *(line for extra in EXTRAS for line in facts["optional-dependencies"][extra])]
    requirements = [Requirement(line) for line in (*lines, *TESTS)]
    return [requirement for requirement in requirements if requirement.name != facts["name"]]  # its extras are named


@dataclass
class Parcel:
    """Fetches into `folder` what is required and not there, with all that it requires in turn.

    Attributes:
        have: what the machine has already.
        pins: versions to take, by name, where a requirement leaves the choice.
        fetch: gets the wheel of a requirement into a folder; raises NoWheel.
        wheels: what was fetched, by name.
        problems: what is not to be had, a line each.
    """

    folder: Path
    have: Have
    pins: Mapping[NormalizedName, str]
    fetch: Fetch
    wheels: dict[NormalizedName, Path] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, requirements: Iterable[Requirement]) -> None:
        """Fetch what is missing of these, and of what they require, and so on."""
        waiting = list(requirements)
        while waiting:
            requirement = waiting.pop(0)
            if self._is_there(requirement):
                continue
            try:
                wheel = self.wheels[canonicalize_name(requirement.name)] = self._fetched(requirement)
            except NoWheel as error:
                self.problems += [line for line in [str(error)] if line not in self.problems]
                continue
            waiting += requires(wheel, requirement.extras)

    def _is_there(self, requirement: Requirement) -> bool:
        name = canonicalize_name(requirement.name)
        if name in self.wheels:
            return True
        version = self.have.get(name)
        return name in self.have and (version is None or requirement.specifier.contains(version, prereleases=True))

    def _fetched(self, requirement: Requirement) -> Path:
        name = canonicalize_name(requirement.name)
        if name in TOO_BIG:
            has = self.have.get(name) or "none"
            raise NoWheel(f"{requirement}: too big to bring along, and the machine has {has}")
        pin = self.pins.get(name)
        exact = f"{requirement.name}=={pin}" if pin else str(requirement).partition(";")[0]
        return self.fetch(Requirement(exact), self.folder)


def requires(wheel: Path, extras: Iterable[str] = ()) -> list[Requirement]:
    """What a wheel requires on the target machine, with its `extras`."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n)]
        facts = Parser().parsestr(archive.read(name).decode("utf-8"))
    found = [Requirement(line) for line in facts.get_all("Requires-Dist") or []]
    return [one for one in found if any(_applies(one, extra) for extra in ("", *extras))]


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**TARGET, "extra": extra})


def read_pins(constraints: Path) -> dict[NormalizedName, str]:
    """The versions of a constraints file."""
    return {name: version for name, version in read_have(constraints).items() if version is not None}


def download(requirement: Requirement, folder: Path) -> Path:
    """The wheel of a requirement for the target machine, from the package index; NoWheel where there is none."""
    command = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--python-version", PYTHON]
    command += ["--implementation", "cp", *(word for tag in PLATFORMS for word in ("--platform", tag))]
    return _pip([*command, "--dest", str(folder), str(requirement)], requirement, folder)


def build(source: Path, folder: Path) -> Path:
    """The wheel of a source tree."""
    name = Requirement("augforge")
    return _pip(["wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)], name, folder)


def _pip(words: Sequence[str], requirement: Requirement, folder: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise NoWheel(f"{requirement}: {said[-1] if said else f'pip ended with exit code {done.returncode}'}")
    name = canonicalize_name(requirement.name)
    found = [path for path in folder.glob("*.whl") if canonicalize_name(path.name.split("-")[0]) == name]
    return max(found, key=lambda path: path.stat().st_mtime)
