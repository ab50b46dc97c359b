"""Croissant 1.1 metadata of an export, as JSON-LD: files with digests, records, and provenance in PROV terms.

The vocabulary is that of the specification (mlcommons.org/croissant/1.1) and of its RAI extension. Whether there are
synthetic images is said by `rai:hasSyntheticData`, a term in use that version 1.0 of the extension does not list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from augforge import __version__
from augforge.data.pictures import kind_of
from augforge.io.writing import About, Writer
from augforge.publish.about import RunFacts

if TYPE_CHECKING:
    from augforge.publish.export import Described

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{
        term: f"cr:{term}"
        for term in (
            "annotation", "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "excludes",
            "extract", "field", "fileObject", "fileProperty", "fileSet", "format", "includes", "isArray",
            "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "readLines", "recordSet", "references",
            "regex", "repeated", "replace", "samplingRate", "sdVersion", "separator", "source", "subField",
            "transform", "unArchive", "value",
        )
    },
}  # fmt: skip
"""The context that the specification recommends, and PROV."""
CONFORMS = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
FIELDS: dict[str, tuple[str | list[str], str]] = {
    "image": ("sc:ImageObject", "The image."),
    "file_name": ("sc:Text", "The file of the image."),
    "label": (["sc:Text", "cr:Label"], "The class."),
    "id": ("sc:Text", "The sample's id: a hash of its content, or of what made it."),
    "origin": ("sc:Text", "real or synthetic."),
    "weight": ("sc:Float", "How many images this one stands for."),
    "scores": ("sc:Text", "What the filters measured, as JSON."),
    "provenance": ("sc:Text", "Where the image came from, or what made it of which parents, as JSON."),
    "split": ("sc:Text", "The split."),
    "caption": ("sc:Text", "The prompt of a synthetic image."),
    "captioned_by": ("sc:Text", "The stage, model and prompt that the caption is by, as JSON."),
    "sha256": ("sc:Text", "SHA-256 of the encoded bytes of the image."),
    "labels": ("sc:Integer", "Several classes of the image, by their numbers."),
    "soft_label": ("sc:Float", "The share of each class, in the order of the classes."),
    "boxes": ("cr:BoundingBox", "What is seen where, in px of the upright image."),
    "objects": ("cr:BoundingBox", "What is seen where, in px of the upright image."),
    "keypoints": ("sc:Float", "Named points of things, in px of the upright image."),
    "annotations": ("sc:Text", "All that is known of the content of the image, as JSON."),
    "image_id": ("sc:Integer", "The number of the image, which the things in it name."),
    "width": ("sc:Integer", "px."),
    "height": ("sc:Integer", "px."),
}
REPEATED = ("labels", "soft_label")
PARTS: dict[str, tuple[str | list[str], str]] = {
    "box": (["sc:Float", "cr:BoundingBox"], "x0, y0, x1, y1; the second corner lies beyond the last pixel."),
    "bbox": (["sc:Float", "cr:BoundingBox"], "x, y, width, height."),
    "categories": (["sc:Text", "cr:Label"], "The class."),
    "category_id": ("sc:Integer", "The number of the category."),
    "image_id": ("sc:Integer", "The number of the image."),
    "label": ("sc:Integer", "The number of the class."),
    "iscrowd": ("sc:Boolean", "Whether the box is around many."),
    "area": ("sc:Float", "px."),
    "points": ("sc:Float", "x, y, and 0 for not labelled, 1 for hidden, 2 for visible."),
}
"""What is known of one thing in an image."""
PROVENANCE = {"provenance": "prov:wasGeneratedBy", "origin": "prov:type"}
"""What a field stands for in PROV, by `equivalentProperty`."""


def croissant(
    to: str,
    about: About,
    writer: Writer,
    facts: RunFacts,
    described: Described,
    files: Mapping[str, tuple[int, str]],
) -> dict[str, Any]:
    """The metadata of an export whose `files` (name to size and SHA-256) are written."""
    lies = writer.croissant()
    licence = described.licence or "The licences of the source images are those of their sources."
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS,
        "name": facts.name,
        "description": _description(to, facts),
        "license": licence,
        "url": described.url or "urn:augforge:" + facts.name,
        "creator": {"@type": "sc:Organization", "name": described.creator or "not stated"},
        "datePublished": facts.date,
        "version": "1.0.0",
        "keywords": ["augforge", *(["synthetic"] if facts.synthetic else [])],
        "citeAs": f"{facts.name}, made with augforge {__version__}",
        "prov:wasDerivedFrom": [_source(number, source) for number, source in enumerate(facts.sources, start=1)],
        "prov:wasGeneratedBy": _activities(facts),
        "prov:wasAttributedTo": _agent(),
        **_responsible(facts, about.shape),
        "distribution": [*_objects(lies, files), *_sets(lies)],
        **({"recordSet": [_records(lies, about), *_things(lies)]} if lies["columns"] else {}),
    }


def _meaning(name: str) -> tuple[str | list[str], str]:
    """Type and description of a column; what is none of those of every export is a picture."""
    return FIELDS.get(name) or ("sc:ImageObject", kind_of(name).about)


def _description(to: str, facts: RunFacts) -> str:
    return (
        f"{facts.real:,} real and {facts.synthetic:,} synthetic images of {len(facts.card.classes):,} classes, "
        f"exported as {to}."
    )


def _source(number: int, source: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@type": "prov:Entity",
        "@id": f"urn:augforge:source:{source['digest']}",
        "prov:label": f"source {number}: {source['name']}",
        "sc:size": f"{source['images']} images",
        "sc:identifier": source["digest"],
    }


def _activities(facts: RunFacts) -> list[dict[str, Any]]:
    """An activity for every stage of the recipe, with the models that it used."""
    used: dict[str, list[dict[str, Any]]] = {}
    for generation_config in facts.card.generators:
        made = json.loads(generation_config)
        if isinstance(model := made.get("model"), dict):
            used.setdefault(str(made.get("generator")), []).append(_model(model))
    for model, did in facts.card.judges:
        used.setdefault(did.partition(" ")[2], []).append(_model(model))
    found = []
    for stage in facts.stages:
        name = stage.partition("-")[2].partition("-")[2]
        models = {"prov:used": used[name]} if name in used else {}
        activity = {"@type": "prov:Activity", "@id": f"urn:augforge:stage:{stage}", "prov:label": stage}
        found.append({**activity, "prov:wasAssociatedWith": _agent(), **models})
    return found


def _model(model: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@type": "prov:Entity",
        "@id": f"urn:augforge:model:{model.get('digest')}",
        "prov:label": str(model.get("name")),
        "sc:license": str(model.get("licence")),
    }


def _agent() -> dict[str, Any]:
    return {"@type": "prov:SoftwareAgent", "@id": "urn:augforge:software", "prov:label": f"augforge {__version__}"}


def _responsible(facts: RunFacts, shape: str) -> dict[str, Any]:
    """What the RAI extension asks for, as far as a tool can know it."""
    dropped = sum(sum(reasons.values()) for reasons in facts.card.drops.values())
    generated = f"{facts.synthetic:,} images were made by models from text or from the real ones."
    changed = f"All images were made {shape}." if shape else "No real image was changed."
    return {
        "rai:hasSyntheticData": facts.synthetic > 0,
        "rai:dataCollection": f"{facts.real:,} images were taken from {len(facts.sources)} source(s) as they were.",
        "rai:dataCollectionType": ["Secondary Data analysis", *(["Software Collection"] if facts.synthetic else [])],
        "rai:dataManipulationProtocol": " ".join([*([generated] if facts.synthetic else []), changed]),
        "rai:dataPreprocessingProtocol": [f"{dropped:,} images were dropped, each with a reason.", *facts.stages],
    }


def _objects(lies: Mapping[str, Any], files: Mapping[str, tuple[int, str]]) -> list[dict[str, Any]]:
    """A FileObject for every file that holds records; single image files are in `export.json`."""
    return [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{size} B",
            "encodingFormat": lies["encoding"],
            "sha256": digest,
        }
        for name, (size, digest) in sorted(files.items())
        if any(fnmatchcase(name, pattern) and name.count("/") == pattern.count("/") for pattern in lies["files"])
    ]


def _sets(lies: Mapping[str, Any]) -> list[dict[str, Any]]:
    files = {"@type": "cr:FileSet", "@id": "files", "name": "files", "encodingFormat": lies["encoding"]}
    found = [{**files, "includes": lies["files"] if len(lies["files"]) > 1 else lies["files"][0]}]
    again = {"@id": "things-files", "name": "things-files", "description": "The same files, read for what is in them."}
    return found + ([{**found[0], **again}] if lies.get("things") else [])


def _records(lies: Mapping[str, Any], about: About) -> dict[str, Any]:
    columns = {name: where for name, where in lies["columns"].items() if name in FIELDS or name in about.pictures}
    return {
        "@type": "cr:RecordSet",
        "@id": "images",
        "name": "images",
        "description": f"One record for each of {sum(about.splits.values()):,} images.",
        "field": [_field(name, where) for name, where in columns.items()],
    }


def _things(lies: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Records of their own for the things in the images, where the format keeps them apart."""
    if not lies.get("things"):
        return []
    fields = [_part("things", name, where, "things-files") for name, where in lies["things"].items()]
    told = {"name": "things", "description": "One record for each thing in an image."}
    return [{"@type": "cr:RecordSet", "@id": "things", **told, "field": fields}]


def _part(parent: str, name: str, lies: Mapping[str, str], files: str = "files") -> dict[str, Any]:
    """A field of a thing."""
    kind, description = PARTS[name]
    transform = {"transform": {"jsonPath": lies["path"]}} if "path" in lies else {}
    extract = {key: value for key, value in lies.items() if key in ("column", "jsonPath")}
    about = {"@type": "cr:Field", "@id": f"{parent}/{name}", "name": name, "description": description}
    return {**about, "dataType": kind, "source": {"fileSet": {"@id": files}, "extract": extract, **transform}}


def _field(name: str, lies: Mapping[str, Any]) -> dict[str, Any]:
    if "parts" in lies:
        inner = [_part(f"images/{name}", part, {"column": name, "path": path}) for part, path in lies["parts"].items()]
        about = {"@type": "cr:Field", "@id": f"images/{name}", "name": name, "description": _meaning(name)[1]}
        return {**about, "repeated": True, "subField": inner}
    kind, description = _meaning(name)
    transform = {"transform": {"jsonPath": lies["path"]}} if "path" in lies else {}
    extract = {key: value for key, value in lies.items() if key in ("column", "jsonPath")}
    return {
        "@type": "cr:Field",
        "@id": f"images/{name}",
        "name": name,
        "description": description,
        "dataType": lies.get("type", kind),
        **({"repeated": True} if name in REPEATED else {}),
        **({"equivalentProperty": PROVENANCE[name]} if name in PROVENANCE else {}),
        "source": {"fileSet": {"@id": "files"}, "extract": extract, **transform},
    }
