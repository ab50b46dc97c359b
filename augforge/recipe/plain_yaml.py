"""YAML from untrusted sources: plain values only, no duplicate keys, no aliases that expand without bound."""

from __future__ import annotations

import re
from typing import Any

import yaml

MOST_NODES = 100_000
"""Most values in a text with all aliases expanded: a few lines of aliases of aliases would be billions."""
DEEPEST = 100


def read_yaml(text: str) -> Any:
    """The value that a YAML text says.

    Raises:
        yaml.YAMLError, ValueError, RecursionError: it is not plain YAML; `one_line` says why.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node, {}, 0)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def one_line(error: Exception) -> str:
    """Why a text could not be read, and where."""
    mark: yaml.Mark | None = getattr(error, "problem_mark", None)
    place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
    return str(getattr(error, "problem", None) or error).splitlines()[0] + place


def _check(node: yaml.Node, sizes: dict[int, int], depth: int) -> int:
    """How many values a node expands to; an error if they are too many, too deep, or contain themselves."""
    if isinstance(node, yaml.ScalarNode):
        node.value.encode()  # half of a surrogate pair is no text: UnicodeEncodeError
        return 1
    if id(node) not in sizes:
        if depth > DEEPEST:
            raise _refused(node, f"it is nested more than {DEEPEST} deep")
        sizes[id(node)] = -1
        pairs = node.value if isinstance(node, yaml.MappingNode) else [(item,) for item in node.value]
        sizes[id(node)] = 1 + sum(_check(item, sizes, depth + 1) for pair in pairs for item in pair)
    if sizes[id(node)] < 0:
        raise _refused(node, "it holds itself")
    if sizes[id(node)] > MOST_NODES:
        raise _refused(node, f"with its aliases written out it has more than {MOST_NODES:,} values")
    return sizes[id(node)]


def _refused(node: yaml.Node, why: str) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, why, node.start_mark)


class _Loader(yaml.SafeLoader):
    """Safe YAML in which `on`, `off`, `yes`, `no` and `1:3` are words (as in YAML 1.2) and a key may come only once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is a plain word", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} comes twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_WHOLE_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$")


def _resolvers(first: str, known: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """What plain words that begin with `first` may mean, less what YAML 1.2 has given up."""
    kept = [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    return [(tag, _WHOLE_NUMBER if tag == "tag:yaml.org,2002:int" else pattern) for tag, pattern in kept]


_Loader.yaml_implicit_resolvers = {
    first: _resolvers(first, known) for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
