"""The JSON Schema of recipes (draft 2020-12), made from the stages' own options: for editors, and for tests.

A schema can say which keys a stage has and of which type each is. Rules over several keys or stages ("give one of
per-class and balance-to"), and whether a model exists, are left to `augforge check`.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from augforge.io import KINDS, SPLIT_KNOWN
from augforge.models import MODELS
from augforge.stages.catalog import STAGES, stage_class
from augforge.stages.stage import Stage, kebab

DRAFT = "https://json-schema.org/draft/2020-12/schema"
KIND_HELP = {
    "folder": "A folder with one sub-folder of images per class.",
    "imagefolder": "A folder of images with metadata.csv, metadata.jsonl or metadata.parquet.",
    "table": "A CSV, TSV or JSONL file in which each row names an image.",
    "dataset": "The directory of a Hugging Face dataset, as `save_to_disk` writes it.",
    "parquet": "A Parquet file, or a folder of them, with a column of images or of their paths.",
    "arrow": "An Arrow IPC file or stream, or a Feather file, or a folder of them; otherwise as parquet.",
    "webdataset": "A WebDataset archive, a folder of them, or a list such as shard-{000..099}.tar.",
    "coco": "A COCO annotation file, or a folder with some.",
    "yolo": "A folder with YOLO labels, or its data.yaml.",
    "voc": "A folder with XML files of Pascal VOC.",
    "labelme": "A folder with JSON files of LabelMe.",
    "cvat": "An XML file of CVAT for images 1.1, or the folder that holds it.",
    "openimages": "A folder with CSV files of Open Images, or one of them.",
    "label-studio": "A JSON file that Label Studio exported, or the folder that holds it.",
    "segmentation": "A folder of images and masks in folders of their own, as Cityscapes has them.",
    "video": "A video file, or a folder of videos or of folders of frames.",
    "hub": "A dataset on the Hugging Face Hub: owner/name.",
    "run": "The folder of another run.",
    "sample": "A small data set that comes with augforge: digits or streets.",
}
OPTION_HELP = {
    "split": "Read this split only.",
    "image": "The column that holds the images.",
    "label": "The column that holds the labels.",
    "boxes": "How boxes in `objects` are written: xywh (as in COCO, if not given) or xyxy (two corners).",
    "masks": "The folder of the images' masks.",
    "splits": "Whether names of folders and files tell splits; true if not given.",
    "sizes": "Whether annotations for a picture of another size are left out; true if not given.",
    "classes": "Whether folders are classes; true if not given.",
    "path": "The folder that the paths in the file start from.",
    "every": "Take one of so many frames, from the first one on.",
    "corners": "How corners are written: inclusive (counted from 1, both in the box) or exclusive (from 0).",
}


def recipe_schema() -> dict[str, Any]:
    """The schema of a whole recipe."""
    names = {(verb, name): f"{verb}.{name}" for verb, name in STAGES}
    sources = {f"source.{kind}": _source(kind) for kind in KINDS}
    stages = {names[stage]: _stage(*stage) for stage in STAGES}
    source = {"anyOf": [_ref(name) for name in sources]}
    return {
        "$schema": DRAFT,
        "title": "augforge recipe",
        "description": "A name, a seed, one or more sources of images, and stages in order.",
        "type": "object",
        "properties": {
            "name": {"type": "string", "default": "recipe", "description": "What the run and its dataset card say."},
            "seed": {
                "type": "integer",
                "minimum": -(2**63),
                "maximum": 2**63 - 1,
                "default": 0,
                "description": "Every random choice follows from it.",
            },
            "licences": {
                "type": ["array", "string"],
                "items": {"type": "string"},
                "description": "The licences that its models may have: names, or one text with commas between.",
            },
            "source": {
                "description": "Where the images come from: one source, or a list of them.",
                "anyOf": [*source["anyOf"], {"type": "array", "minItems": 1, "items": source}],
            },
            "stages": {
                "type": ["array", "null"],
                "description": "What is done, in order.",
                "items": {"anyOf": [_ref(name) for name in stages]},
            },
        },
        "required": ["source"],
        "additionalProperties": False,
        "$defs": {**sources, **stages},
    }


def as_text() -> str:
    """The schema as it is committed in docs/reference/recipe.schema.json."""
    return json.dumps(recipe_schema(), indent=1, ensure_ascii=False) + "\n"


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _source(kind: str) -> dict[str, Any]:
    """One kind of source: its value, and the options that its class takes."""
    module, _, name = KINDS[kind].partition(":")
    signature = inspect.signature(getattr(import_module(module), name))
    options = [p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
    text = {"type": "string"}
    types = {p.name: {"type": "boolean"} if isinstance(p.default, bool) else text for p in options}
    if kind not in SPLIT_KNOWN:
        types.setdefault("splits", {"type": "boolean"})
    if getattr(import_module(module), name).declares_sizes:
        types.setdefault("sizes", {"type": "boolean"})
    properties = {option: {**known, "description": OPTION_HELP[option]} for option, known in types.items()}
    return {
        "type": "object",
        "description": KIND_HELP[kind],
        "properties": {
            kind: {"type": ["string", "integer"], "description": KIND_HELP[kind]},
            **properties,
            "class": {**text, "description": 'Every image is of this class; "" takes the labels away.'},
        },
        "required": [kind],
        "additionalProperties": False,
    }


def _stage(verb: str, name: str) -> dict[str, Any]:
    """One stage: its verb with its name, and an entry for each of its options."""
    cls = stage_class(verb, name)
    about = inspect.cleandoc(cls.__doc__ or "")
    known = cls.model_json_schema(by_alias=True)
    options = {key: _option(cls, key, value) for key, value in known.get("properties", {}).items()}
    return {
        "type": "object",
        "description": about,
        "properties": {verb: {"const": name, "description": about.partition("\n")[0]}, **options},
        "required": [verb, *known.get("required", [])],
        "additionalProperties": False,
    }


def _option(cls: type[Stage], key: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {name: value for name, value in schema.items() if name != "title"}
    fields = {info.alias or kebab(name): name for name, info in cls.model_fields.items()}
    task = cls.tasks().get(fields[key])
    if task is not None:
        plain["examples"] = [model.name for model in MODELS.values() if model.backend_for(task)]
    return _widened(plain) if fields[key] in _read_freely(cls) else plain


def _read_freely(cls: type[Stage]) -> set[str]:
    """The options that a validator of their own reads first, and so in other ways than their type says."""
    validators = cls.__pydantic_decorators__.field_validators.values()
    return {field for each in validators if each.info.mode == "before" for field in each.info.fields}


def _widened(schema: dict[str, Any]) -> dict[str, Any]:
    """A list may be given as one text with commas, and a choice such as "1" as a number."""
    about = {key: schema.pop(key) for key in ("description", "default") if key in schema}
    numbers = [int(value) for value in schema.get("enum", []) if value.isdigit()]
    if schema.get("type") == "array":
        return {"anyOf": [schema, {"type": "string"}], **about}
    return {"anyOf": [schema, {"enum": numbers}], **about} if numbers else {**schema, **about}
