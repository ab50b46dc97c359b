"""The import graph, drawn from the syntax trees: no cycles, and arrows that only point down the list of layers."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = (
    "__main__",
    "cli",
    "api torch",
    "view",
    "report reproduce evaluate",
    "engine",
    "publish",
    "provenance",
    "review",
    "recipe",
    "stages",
    "training io",
    "models",
    "algorithms",
    "data",
    "remote",
    "progress optional",
    "errors printable __init__",
)
"""Top to bottom. A folder (or module of the root) may import what stands below it, and nothing beside it."""
MOST_IN_ROOT = 8

Graph = Mapping[str, set[str]]


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in (root / "augforge").rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(tree: ast.AST, known: Mapping[str, object]) -> Iterator[str]:
    """The modules that a syntax tree imports when it is loaded or run; what stands under TYPE_CHECKING is for tools."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from (name for other in node.orelse for name in imports(other, known))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            yield from imports(node, known)


def graph_of(files: Mapping[str, str]) -> dict[str, set[str]]:
    """For the source text of every module: which of the others it imports."""
    return {name: set(imports(ast.parse(text), files)) & set(files) - {name} for name, text in files.items()}


def folder_of(module: str) -> str:
    """The folder of the package in which a module lies, or the module's own name in the root."""
    return module.split(".")[1] if "." in module else "__init__"


def folders(graph: Graph) -> dict[str, set[str]]:
    """The graph of the folders."""
    joined: dict[str, set[str]] = {}
    for module, targets in graph.items():
        joined.setdefault(folder_of(module), set()).update(map(folder_of, targets))
    return {folder: targets - {folder} for folder, targets in joined.items()}


def cycle_in(graph: Graph) -> list[str]:
    """One cycle of a graph, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def upward(graph: Graph) -> list[str]:
    """The imports that point up or sideways in LAYERS."""
    level = {folder: number for number, names in enumerate(LAYERS) for folder in names.split()}
    return sorted(
        f"{module} -> {target}"
        for module, targets in graph.items()
        for target in targets
        if folder_of(module) != folder_of(target) and level[folder_of(target)] <= level[folder_of(module)]
    )


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    return graph_of({name: path.read_text() for name, path in modules().items()})


def test_modules_import_each_other_in_no_circle(graph: Graph) -> None:
    assert cycle_in(graph) == []


def test_folders_import_each_other_in_no_circle(graph: Graph) -> None:
    assert cycle_in(folders(graph)) == []


def test_imports_point_down_the_layers(graph: Graph) -> None:
    assert upward(graph) == []


def test_the_root_is_small() -> None:
    assert len(list((ROOT / "augforge").glob("*.py"))) <= MOST_IN_ROOT


def test_every_module_is_seen(graph: Graph) -> None:
    assert len(graph) > 250 and sum(map(len, graph.values())) > 1000


def test_a_cycle_inside_a_function_is_found() -> None:
    planted = graph_of(
        {
            "augforge.data.a": "from augforge.models import b",
            "augforge.models.b": "def f():\n    from augforge.data.a import x\n    return x",
            "augforge.models": "",
        }
    )
    assert set(cycle_in(planted)) == {"augforge.data.a", "augforge.models.b"}
    assert upward(planted) == ["augforge.data.a -> augforge.models.b"]


def test_an_import_for_types_only_is_no_cycle() -> None:
    planted = graph_of(
        {
            "augforge.data.a": "if TYPE_CHECKING:\n    from augforge.models.b import B",
            "augforge.models.b": "from augforge.data.a import x",
        }
    )
    assert cycle_in(planted) == [] and upward(planted) == []
