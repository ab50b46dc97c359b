"""Where the pictures lie that go with the images of a COCO file: those of an export, and those that others name."""

from __future__ import annotations

from augforge.io.annotated import normal
from augforge.io.writing import picture_folder


def exported_place(name: str, path: str, base: str) -> str:
    """Where an export has the picture `path` of a name, beside the folder `base` of the images ("images/train/")."""
    return f"{base.replace('images/', f'{picture_folder(name)}/', 1)}{path}"


def picture_places(name: str, path: str, base: str, inside: str) -> list[str]:
    """Where the picture may lie that others name: seen from the folder `base` of the images, where an export has it,
    seen from the folder `inside` of the annotation file, or from the top.
    """
    return [normal(path, base), normal(exported_place(name, path, base)), normal(path, inside), normal(path)]
