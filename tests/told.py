"""A source for tests: a folder of pictures beside a `said.json` with what is known of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from augforge.io.base import Entry, file_stamp
from augforge.io.listed import ListedImages
from tests.conftest import write_images

KIND = "told"
PLACE = "tests.told:Told"
"""What a test puts into `augforge.io.KINDS` under `KIND`."""


class Told(ListedImages):
    """Of each picture the label, the split and the annotations that the file says."""

    format = "told folder"

    def __init__(self, value: str) -> None:
        self._root, self.where = Path(value), f"told {value}"
        self._said = json.loads((self._root / "said.json").read_text())

    def classes(self) -> list[str]:
        return []

    def entries(self) -> Iterator[Entry]:
        for name, said in sorted(self._said.items()):
            stamp = file_stamp(self._root / name)
            yield Entry(name, said.get("label"), said.get("split"), stamp, annotations=said.get("annotations", {}))


def write_told(folder: Path, said: list[dict[str, Any]], seed: int = 0) -> Path:
    """As many pictures as there are things to say, and what is said."""
    write_images(folder, {".": len(said)}, seed=seed)
    names = sorted(path.name for path in folder.glob("*.png"))
    (folder / "said.json").write_text(json.dumps(dict(zip(names, said, strict=True))))
    return folder
