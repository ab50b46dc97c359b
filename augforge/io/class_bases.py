"""Where the folders of classes lie in a folder: at its top, or below folders of splits, be these in one more folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from augforge.io.splits import LAYOUT, folder_split
from augforge.io.tree import Tree, join

Base = tuple[str | None, str]
"""The split of a folder, if it is one, and its path."""


def class_bases(tree: Tree, tops: list[str]) -> list[Base]:
    """The folders above those of the classes, each with its split, and before them those that hold loose images.

    `tops` are the folders at the top. If all of them are named as splits, classes lie below them. If there is only one
    that holds nothing but such folders, and these hold folders, it is no class either.
    """
    if tops and all(map(folder_split, tops)) and not any(_is_of_a_year(tree, name) for name in tops):
        return [(None, ""), *_splits(tops, "")]
    above = list(_lone(tree, tops))
    inner = tree.readable_folders(above[-1]) if above else []
    if inner and all(map(folder_split, inner)) and holds_splits(tree, above[-1]):
        return [(None, base) for base in ("", *above)] + list(_splits(inner, above[-1]))
    return [(None, "")]


def holds_splits(tree: Tree, inside: str) -> bool:
    """Whether a folder holds folders that are named as splits, and one of these holds folders."""
    splits = (name for name in tree.readable_folders(inside) if folder_split(name))
    return any(tree.readable_folders(join(inside, name)) for name in splits)


def _splits(names: Iterable[str], above: str) -> Iterator[Base]:
    yield from ((folder_split(name), join(above, name)) for name in names)


def _lone(tree: Tree, tops: list[str]) -> Iterator[str]:
    """The lone folder at the top, the lone one in it, and so on, as long as they hold no images and are of no layout or
    split.
    """
    inside, names = "", tops
    while len(names) == 1 and names[0].lower() not in LAYOUT and not folder_split(names[0]):
        inside = join(inside, names[0])
        names = tree.readable_folders(inside)
        if not names or tree.has_images(inside):
            return
        yield inside


def _is_of_a_year(tree: Tree, name: str) -> bool:
    """Whether a folder is named as `val2017` and holds images: those of COCO lie so, with annotations elsewhere."""
    return name[-1].isdecimal() and tree.has_images(name)
