"""The sources of a ledger as a lock lists them: file by file, or folder by folder, one image after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from augforge.data.ids import ID_LENGTH, canonical, key
from augforge.data.ledger import Ledger
from augforge.data.pictures import identity_of
from augforge.recipe import Recipe

SHORT = 16
"""Hex digits of a file's digest, as far as a lock lists them."""
Listed = Iterator[tuple[str, str]]


def listed_sources(recipe: Recipe, ledger: Ledger, most: int) -> list[dict[str, Any]]:
    """For each source its images, and a digest of each; of one with more than `most` images a digest of each folder."""
    found: dict[int, dict[str, Any]] = {}
    for number, files in groupby(_files(ledger), key=lambda file: file[0]):
        found[number] = _source((file[1:] for file in files), most)
    nothing: dict[str, Any] = _source(iter(()), most)
    return [{"source": dict(spec.plain()), **found.get(n, nothing)} for n, spec in enumerate(recipe.sources)]


def _files(ledger: Ledger) -> Iterator[tuple[int, str, str]]:
    """The number of the source, the locator and the digest of each image, in that order; of one twice the last."""
    rows = ledger.each(("ref", "digest", "label", "split", "pictures", "annotations"), ledger.sorted_by("ref"))
    for ref, same in groupby(rows, key=lambda row: str(row[0])):
        place, _, locator = ref.partition(":")
        if place.isdecimal():
            *_, (_, digest, label, split, pictures, said) = same
            yield (
                int(place),
                locator,
                key(digest, label, split, identity_of(pictures), *([said] if said else []))[:SHORT],
            )


def _source(files: Listed, most: int) -> dict[str, Any]:
    """What a lock says of the files of a source, which come in the order of their locators."""
    whole, folders, listed = _Digest("[{", "}]"), dict[str, _Digest](), dict[str, str]()
    count = 0
    for locator, digest in files:
        count += 1
        whole.add(f"{canonical(locator)}:{canonical(digest)}")
        folders.setdefault(_folder(locator), _Digest("[[", "]]")).add(canonical([locator, digest]))
        if count <= most:
            listed[locator] = digest
    about = {"images": count, "digest": whole.key()}
    if count <= most:
        return {**about, "files": listed}
    return {**about, "folders": _short(folders)}


def _short(folders: Mapping[str, _Digest]) -> dict[str, str]:
    return {folder: each.key()[:SHORT] for folder, each in folders.items()}


def _folder(locator: str) -> str:
    """Where an image lies: its folder, or the file that holds its row."""
    return locator.rpartition("#")[0] or locator.rpartition("/")[0]


class _Digest:
    """The `key` of a list or mapping whose items come one by one, each as its canonical text."""

    def __init__(self, opening: str, closing: str) -> None:
        self._hash, self._before, self._closing = hashlib.sha256(opening.encode()), "", closing

    def add(self, text: str) -> None:
        self._hash.update(f"{self._before}{text}".encode())
        self._before = ","

    def key(self) -> str:
        self._hash.update(self._closing.encode())
        return self._hash.hexdigest()[:ID_LENGTH]
