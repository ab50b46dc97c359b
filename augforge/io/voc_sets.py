"""The lists of `ImageSets`: which images of Pascal VOC are in which split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

SETS = "ImageSets"
FOLDERS = ("Main", "Segmentation", "")
"""Where lists lie in `ImageSets`; the first of these that has some counts."""
BOTH = "trainval.txt"
LISTS = {"train.txt": "train", "val.txt": "validation", "test.txt": "test", BOTH: "train"}


class ImageSets:
    """The splits of images by their lists; `named` has them by locator, `unknown` the names that are of no image.

    Args:
        texts: the paths of all text files of a data set.
        lines: finds the lines of a text file.
        find: finds the locator of the image of a name, in the folder above `ImageSets` ("" or "a/"); None if it is not
            there.
    """

    def __init__(
        self, texts: Iterable[str], lines: Callable[[str], list[str]], find: Callable[[str, str], str | None]
    ) -> None:
        self.named: dict[str, list[str]] = {}
        self.unknown: dict[str, None] = {}
        for base, path, split in _lists([path for path in texts if f"/{SETS}/" in f"/{path}"]):
            for name in (line.split()[0] for line in lines(path) if line.strip()):
                locator = find(base, name)
                if locator is None:
                    self.unknown.setdefault(name)
                elif split not in (known := self.named.setdefault(locator, [])):
                    known.append(split)


def _lists(texts: list[str]) -> Iterator[tuple[str, str, str]]:
    """The lists that count: the folder above `ImageSets`, the path, and the split. `trainval` counts alone only."""
    for base in dict.fromkeys(path[: f"/{path}".index(f"/{SETS}/")] for path in texts):
        found = (_in_folder(f"{base}{SETS}/{folder}/".replace("//", "/"), texts) for folder in FOLDERS)
        there = next(filter(None, found), {})
        if there.keys() & {"train.txt", "val.txt"}:
            there.pop(BOTH, None)
        yield from ((base, path, LISTS[name]) for name, path in there.items())


def _in_folder(inside: str, texts: list[str]) -> dict[str, str]:
    """The paths of the lists of splits in a folder, by their names."""
    there = {path.removeprefix(inside): path for path in texts if path.startswith(inside)}
    return {name: there[name] for name in LISTS if name in there}
