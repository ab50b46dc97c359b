"""Small data sets with boxes, in the layouts that people have them in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from PIL import Image

from augforge.data.annotations import check_annotations
from augforge.io.base import Entry
from tests.bad_inputs import colours, encoded

WIDTH, HEIGHT = 48, 32
SIZE = (HEIGHT, WIDTH)
SPLITS = {"train": 3, "val": 2}
"""How many images each of the layouts below has in each split."""
CAR = [18.0, 8.0, 30.0, 24.0]
"""The one box of each image."""
YOLO_LINE = "0 0.5 0.5 0.25 0.5\n"
VOC_CORNERS = {"xmin": 19, "ymin": 9, "xmax": 30, "ymax": 24}


def picture(seed: int = 0, kind: str = "PNG", orientation: int = 0) -> bytes:
    """A picture of WIDTH x HEIGHT stored px; with an EXIF orientation from 5 on it is HEIGHT x WIDTH when upright."""
    image = colours(64, seed).resize((WIDTH, HEIGHT))
    if not orientation:
        return encoded(image, kind)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, kind, exif=exif)


def put(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def boxes_of(entry: Entry, size: tuple[int, int] = SIZE) -> list[tuple[str | None, list[float]]]:
    """The class and the corners of the boxes of an entry, as they are on an image of `size`, all of them sound."""
    usable, wrong = check_annotations(entry.annotations, size)
    assert not wrong
    return [(box.get("label"), box["box"]) for box in usable["boxes"]]


def problems_of(entry: Entry, size: tuple[int, int] = SIZE) -> list[str]:
    """What is wrong with the annotations of an entry."""
    return check_annotations(entry.annotations, size)[1]


def numbered() -> list[tuple[str, int]]:
    """Split and number of each image of a layout."""
    return [(split, number) for split, count in SPLITS.items() for number in range(count)]


def voc_xml(name: str = "", **corners: object) -> str:
    """An annotation of Pascal VOC with one car."""
    box = "".join(f"<{side}>{value}</{side}>" for side, value in (corners or VOC_CORNERS).items())
    thing = f"<object><name>car</name><bndbox>{box}</bndbox></object>"
    return f"<annotation>{f'<filename>{name}</filename>' if name else ''}{thing}</annotation>"


def labelme(name: str, *shapes: Mapping[str, object], **more: object) -> str:
    """An annotation of LabelMe; without shapes it has one car."""
    car = {"label": "car", "shape_type": "rectangle", "points": [CAR[:2], CAR[2:]], "group_id": None, "flags": {}}
    return json.dumps({"version": "5.5", "flags": {}, "shapes": list(shapes or [car]), "imagePath": name, **more})


def cvat_image(name: str, split: str = "default", inside: str = "") -> str:
    """The element of an image in an XML file of CVAT, with one car or what is given."""
    x0, y0, x1, y1 = CAR
    car = f'<box label="car" xtl="{x0}" ytl="{y0}" xbr="{x1}" ybr="{y1}" occluded="0"/>'
    subset = f' subset="{split}"'
    return f'<image id="0" name="{name}"{subset} width="{WIDTH}" height="{HEIGHT}">{inside or car}</image>'


def cvat(*images: str) -> str:
    """An XML file of CVAT for images."""
    meta = "<meta><job><labels><label><name>car</name></label><label><name>bus</name></label></labels></job></meta>"
    return f"<?xml version='1.0'?><annotations><version>1.1</version>{meta}{''.join(images)}</annotations>"


def _pictures(path: str, kind: str = "PNG") -> dict[str, str | bytes]:
    """A picture for each number of each split, at a path with {split} and {number}."""
    files: dict[str, str | bytes] = {}
    for place, (split, number) in enumerate(numbered()):
        files[path.format(split=split, number=number)] = picture(place, kind)
    return files


def _texts(path: str, text: str) -> dict[str, str | bytes]:
    return {path.format(split=split, number=number): text for split, number in numbered()}


def yolo_splits_inside(root: Path) -> Path:
    """`images/train` and `labels/train`, as Ultralytics has them."""
    data = "names: {0: car, 1: bus}\npath: ../datasets/cars\ntrain: images/train\nval: images/val\n"
    labels = _texts("labels/{split}/{number}.txt", YOLO_LINE)
    return put(root, {**_pictures("images/{split}/{number}.png"), **labels, "data.yaml": data})


def yolo_splits_above(root: Path) -> Path:
    """`train/images` and `train/labels`, as Roboflow exports them."""
    data = "train: ../train/images\nval: ../val/images\ntest: ../test/images\nnc: 2\nnames: ['car', 'bus']\n"
    labels = _texts("{split}/labels/{number}.txt", YOLO_LINE)
    return put(root, {**_pictures("{split}/images/{number}.png"), **labels, "data.yaml": data})


def yolo_lists(root: Path) -> Path:
    """Splits as lists of images, which all lie in one folder."""
    lists = {
        f"{split}.txt": "".join(f"./images/{split}-{number}.png\n" for which, number in numbered() if which == split)
        for split in SPLITS
    }
    labels = _texts("labels/{split}-{number}.txt", YOLO_LINE)
    data = "names: [car, bus]\ntrain: train.txt\nval: [val.txt]\n"
    return put(root, {**_pictures("images/{split}-{number}.png"), **labels, **lists, "cars.yaml": data})


def yolo_without_data(root: Path) -> Path:
    """`images/train` and `labels/train`, and the classes in a text file."""
    labels = _texts("labels/{split}/{number}.txt", YOLO_LINE)
    return put(root, {**_pictures("images/{split}/{number}.png"), **labels, "classes.txt": "car\nbus\n"})


def yolo_darknet(root: Path) -> Path:
    """Label files beside their images, and lists."""
    lists = {
        f"{split}.txt": "".join(f"data/obj/{split}{number}.jpg\n" for which, number in numbered() if which == split)
        for split in SPLITS
    }
    labels = _texts("obj/{split}{number}.txt", YOLO_LINE)
    return put(root, {**_pictures("obj/{split}{number}.jpg", "JPEG"), **labels, **lists, "obj.names": "car\nbus\n"})


def voc_devkit(root: Path) -> Path:
    """`VOCdevkit/VOC2012`, as the original."""
    base = "VOC2012/"
    lists = {
        f"{base}ImageSets/Main/{split}.txt": "".join(f"{s}_{n}\n" for s, n in numbered() if s == split)
        for split in SPLITS
    }
    both = {f"{base}ImageSets/Main/trainval.txt": "".join(f"{s}_{n}\n" for s, n in numbered())}
    notes = _texts(base + "Annotations/{split}_{number}.xml", voc_xml())
    return put(root, {**_pictures(base + "JPEGImages/{split}_{number}.jpg", "JPEG"), **notes, **lists, **both})


def voc_beside(root: Path) -> Path:
    """Each XML file beside its image, in folders of splits, as Roboflow exports them."""
    return put(root, {**_pictures("{split}/{number}.png"), **_texts("{split}/{number}.xml", voc_xml())})


def labelme_beside(root: Path) -> Path:
    """Each JSON file beside its image."""
    notes = {f"{split}/{number}.json": labelme(f"{number}.png") for split, number in numbered()}
    return put(root, {**_pictures("{split}/{number}.png"), **notes})


def cvat_subsets(root: Path) -> Path:
    """`annotations.xml` and images, of which the file tells the subsets."""
    listed = [cvat_image(f"{split}_{number}.png", {"val": "Validation"}.get(split, "Train")) for split, number in
              numbered()]  # fmt: skip
    return put(root, {**_pictures("images/{split}_{number}.png"), "annotations.xml": cvat(*listed)})


LAYOUTS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "yolo, splits below images": ("yolo", yolo_splits_inside),
    "yolo, splits above images": ("yolo", yolo_splits_above),
    "yolo, lists": ("yolo", yolo_lists),
    "yolo, without data.yaml": ("yolo", yolo_without_data),
    "yolo, as darknet has it": ("yolo", yolo_darknet),
    "voc, the devkit": ("voc", voc_devkit),
    "voc, beside": ("voc", voc_beside),
    "labelme, beside": ("labelme", labelme_beside),
    "cvat, subsets": ("cvat", cvat_subsets),
}
"""The kind of each layout, and what writes it."""
