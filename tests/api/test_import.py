"""`import augforge` loads nothing, and gives the names that tools see."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import augforge
import augforge.api

NEVER = ("numpy", "pydantic", "torch", "pyarrow", "PIL", "yaml", "datasets", "augforge.api", "augforge.errors")


def loaded_by(code: str) -> list[str]:
    """Which of `NEVER` a fresh interpreter has loaded after a piece of code."""
    ask = f"import sys\n{code}\nprint(*[name for name in {NEVER!r} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("code", ["import augforge", "import augforge; augforge.__version__; dir(augforge)"])
def test_importing_the_package_loads_nothing(code: str) -> None:
    assert loaded_by(code) == []


def test_the_question_would_find_something() -> None:
    assert {"pydantic", "augforge.api"} <= set(loaded_by("import augforge; augforge.Recipe"))


def test_using_the_names_loads_no_torch() -> None:
    assert "torch" not in loaded_by("from augforge import *; Recipe('sample:digits', [{'filter': 'clip'}]).check()")


def test_every_public_name_is_there_and_listed() -> None:
    assert sorted(augforge.__all__) == sorted([*augforge.api.__all__, "__version__"])
    assert set(augforge.__all__) <= set(dir(augforge))
    for name in augforge.api.__all__:
        assert getattr(augforge, name) is getattr(augforge.api, name)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(augforge.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    seen = [alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(seen) == sorted(augforge.api.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'augforge' has no attribute 'Recpie'"):
        _ = augforge.Recpie  # type: ignore[attr-defined]  # which is the point


def test_no_public_name_is_that_of_a_module_of_the_package() -> None:
    """Else `import augforge.NAME` would put the module in its place."""
    modules = {path.stem for path in Path(augforge.__file__).parent.iterdir()}
    assert modules & set(augforge.__all__) == set()


@pytest.mark.parametrize("name", augforge.api.__all__)
def test_every_public_name_has_a_docstring(name: str) -> None:
    assert (getattr(augforge, name).__doc__ or "").strip()
