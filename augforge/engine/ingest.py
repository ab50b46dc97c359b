"""Read the sources into a ledger: every image is read, checked and hashed once, and a bad one costs its own row."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from augforge.data import images
from augforge.data.annotations import check_annotations, dump_annotations, parse_annotations
from augforge.data.bundle import Bundle
from augforge.data.classes import one_label, said_labels
from augforge.data.ids import key, unit
from augforge.data.ledger import Ledger
from augforge.data.parts import Parts
from augforge.data.pictures import identity_of, parse_pictures
from augforge.data.sample import Sample
from augforge.data.store import Store
from augforge.engine.engines.local import Local
from augforge.engine.facts import FACTS
from augforge.engine.pixels import Pixels
from augforge.engine.reading import Found, Reading, unit_size
from augforge.engine.rows import Ahead
from augforge.engine.work import Engine, Place
from augforge.io import open_source
from augforge.io.base import Entry, Source
from augforge.io.sizes import ADVICE, fitting, is_left_out
from augforge.io.understood import Understood, understanding, understood
from augforge.progress import Progress
from augforge.recipe import Recipe, SourceSpec

UNREADABLE = "it can no longer be read: "
MENDED = (
    "repair or remove them and run the same command again, with --retry failed if size and time of a file are as "
    "before; or raise --max-bad"
)
"""What to do where too many images cannot be used."""


@dataclass(frozen=True, slots=True)
class How:
    """How images are read: by `engine`, which opens `specs` again where that is in another process.

    What is measured `ahead` is stored with the images that are read, so that each is opened and decoded once.
    """

    specs: Sequence[SourceSpec] = ()
    engine: Engine = field(default_factory=Local)
    ahead: Ahead = field(default_factory=Ahead)


def open_sources(recipe: Recipe) -> list[Source]:
    """The recipe's sources, opened; SourceError says which one cannot be."""
    return [open_source(spec.kind, spec.value, **spec.options) for spec in recipe.sources]


def read_sources(
    sources: Sequence[Source],
    store: Store,
    progress: Progress,
    limit: int | None = None,
    listed: Callable[[Sequence[Understood]], None] = lambda told: None,
    how: How | None = None,
) -> tuple[Ledger, int]:
    """Every image of the sources as a ledger, and how many had to be read (the others were known).

    `listed` is told what each source was understood to be, and may raise an error before any image is read.
    """
    parts = store.parts("source", FACTS, by="key")
    told = [understood(source) for source in sources]
    found = list(_limited(_entries(sources, told), limit))
    for each in told:
        progress.opening(each.sentence())
    listed(told)
    unknown = _unknown(found, parts)
    _read(unknown, parts, sources, progress, how or How())
    ledger = Ledger(_classes(sources, found), _empty(told), store.folder)
    ledger.extend(_samples(sources, found, parts))
    return ledger, len(unknown)


def _read(unknown: Sequence[Found], parts: Parts, sources: Sequence[Source], progress: Progress, how: How) -> None:
    """Look into every image that is not known yet."""
    ahead, place = how.ahead, Place(Pixels(sources, how.specs), "cpu", progress)
    work = Reading(tuple(look for look, _ in ahead.looks), unit_size(len(unknown)))
    bundle = Bundle([parts, *(more for _, more in ahead.looks)])
    refused = how.engine.run(work, unknown, len(unknown), bundle, place)
    if ahead.looks:
        rows = parts.rows([f.key for f in unknown], ["digest", "problem"])
        ahead.count = len({row["digest"] for row in rows if not row["problem"]})
    for name, why in refused.unjudged.items():
        number, digest = name.split(":")
        ahead.unjudged.setdefault(bundle.parts[int(number)].folder.name, {})[digest] = why


def _empty(told: Sequence[Understood]) -> list[str]:
    """The classes that some source announces, and none has an image of."""
    met = {name for each in told for name, count in each.classes.items() if count}
    return [name for name in dict.fromkeys(name for each in told for name in each.empty) if name not in met]


def known_samples(
    sources: Sequence[Source], store: Store, limit: int | None = None, told: Sequence[Understood] | None = None
) -> tuple[Ledger, int]:
    """The ledger as far as it is known without reading an image, and how many images were never read.

    An image that was never read is taken to be usable. `told`, one for each source, is filled as they are listed.
    """
    parts = store.parts("source", FACTS, by="key")
    found = list(_limited(_entries(sources, told), limit))
    unknown = {f.key for f in _unknown(found, parts)}
    ledger = Ledger(_classes(sources, found))
    ledger.extend(_samples(sources, [f for f in found if f.key not in unknown], parts))
    ledger.extend(_unread(f) for f in found if f.key in unknown)
    return ledger, len(unknown)


def _unread(f: Found) -> Sample:
    said = said_labels(f.entry.annotations)
    return Sample(
        key("unread", f.key),
        one_label(f.entry.label, said),
        split=f.entry.split,
        digest=f.key,
        width=1,
        height=1,
        pictures=dict.fromkeys(f.entry.pictures, f.key),
        annotations=said,
    )


def _unknown(found: Sequence[Found], parts: Parts) -> list[Found]:
    there = parts.find([f.key for f in found])
    return [f for f, place in zip(found, there, strict=True) if place < 0 and not _is_known(f)]


def _entries(sources: Sequence[Source], told: Sequence[Understood] | None = None) -> Iterator[Found]:
    for number, source in enumerate(sources):
        for entry in source.entries() if told is None else understanding(source, told[number]):
            stamps = [entry.stamp, entry.problem, *([identity_of(entry.pictures)] if entry.pictures else [])]
            yield Found(number, entry, key("facts", source.where, entry.locator, *stamps))


def keys_of_problems(sources: Sequence[Source]) -> set[str]:
    """The keys of the images of which the listing itself says that they cannot be used."""
    return {found.key for found in _entries(sources) if found.entry.problem}


def _limited(found: Iterator[Found], limit: int | None) -> Iterator[Found]:
    """All, or `limit` of them chosen by a hash: a larger limit only adds."""
    if limit is None:
        return found
    chosen = heapq.nsmallest(limit, found, key=lambda f: (unit("limit", f.entry.locator), f.number))
    return iter(sorted(chosen, key=lambda f: (f.number, f.entry.locator)))


def _classes(sources: Sequence[Source], found: Sequence[Found]) -> list[str]:
    """The classes of all sources in their order, and labels met on the way that no source announced."""
    announced = dict.fromkeys(label for source in sources for label in source.classes())
    met = sorted({label for f in found for label in _labels_of(f.entry)} - set(announced))
    return [*announced, *met]


def _labels_of(entry: Entry) -> Iterator[str]:
    """The classes of an image: its one label, or several."""
    if entry.label is not None:
        yield entry.label
    for name in ("labels", "soft_label"):
        yield from (label for label in entry.annotations.get(name, ()) if isinstance(label, str))


def _samples(sources: Sequence[Source], found: Sequence[Found], parts: Parts) -> Iterator[Sample]:
    copies: Counter[tuple[str | None, ...]] = Counter()
    known = parts.rows([f.key for f in found if not _is_known(f)], FACTS.names)
    for f in found:
        if _is_known(f):
            yield _carried(f)
            continue
        facts = next(known)
        same = _identity(f, facts)
        sample = _fresh(sources[f.number], f, same, copies[same]) if f.entry.carried is None else _carried(f)
        copies[same] += 1
        yield _with_facts(sample, facts, f.entry.size)


def _identity(f: Found, facts: Mapping[str, Any]) -> tuple[str | None, ...]:
    """What makes a sample of a source that one: its bytes, its label, its pictures and its annotations."""
    said = dump_annotations(f.entry.annotations)
    pictures = identity_of(facts["pictures"])
    identity = facts["digest"] or f"no bytes: {f.entry.locator}"
    return (identity, f.entry.label, *([pictures] if pictures else []), *([f"annotations: {said}"] if said else []))


def _with_facts(sample: Sample, facts: Mapping[str, Any], size: tuple[int, int] | None) -> Sample:
    """The sample with what was found in its file; dropped if that cannot be used. Its annotations are for `size`."""
    seen = {name: facts[name] for name in ("digest", "width", "height", "note")}
    found = replace(sample, **seen, pictures=parse_pictures(facts["pictures"]))
    problem = facts["problem"]
    if found.annotations and not problem:
        fit, other = fitting(found.annotations, size, images.Facts(found.width, found.height, found.note))
        usable, wrong = check_annotations(fit, (found.height, found.width))
        note = "; ".join(filter(None, [found.note, other, *wrong]))
        found = replace(found, label=one_label(found.label, usable), annotations=usable, note=note)
    return replace(found, kept=False, dropped=problem, dropped_by="source") if problem else found


def _fresh(source: Source, f: Found, same: tuple[str | None, ...], copy: int) -> Sample:
    """A sample whose id follows from its content, its label, its pictures and its annotations, if it has any."""
    identity, label, *rest = same
    return Sample(
        id=key("real", identity, label, copy, *rest),
        label=f.entry.label,
        source=f"{source.where}: {f.entry.locator}",
        split=f.entry.split,
        annotations=f.entry.annotations,
        ref=f"{f.number}:{f.entry.locator}",
    )


def _is_known(f: Found) -> bool:
    """Whether the source itself says all about an image, as the ledger of another run does."""
    return f.entry.carried is not None and "width" in f.entry.carried


def _carried(f: Found) -> Sample:
    """A sample of another run, with its whole history."""
    carried = dict(f.entry.carried or {})
    sampled_params = carried.pop("sampled_params", None) or {}
    said, pictures = carried.pop("annotations", None), carried.pop("pictures", None)
    known = {
        name: value for name, value in carried.items() if name in Sample.__dataclass_fields__ and value is not None
    }
    return Sample(
        **{
            **known,
            "label": f.entry.label,
            "split": f.entry.split,
            "annotations": f.entry.annotations or parse_annotations(said),
            "pictures": parse_pictures(pictures),
            "parents": tuple(carried.get("parents") or ()),
            "scores": dict(carried.get("scores") or {}),
            "sampled_params": json.loads(sampled_params) if isinstance(sampled_params, str) else dict(sampled_params),
            "ref": f"{f.number}:{f.entry.locator}",
        }
    )


def bad_images(ledger: Ledger) -> dict[str, Any]:
    """How many `images` a ledger of sources has, how many of them are `bad`, and the `first` that is, with why."""
    bad = np.flatnonzero(ledger.coded("dropped_by").equal("source"))
    first = next((f"{each.source}: {each.dropped}" for each in ledger.samples(bad[:1])), "")
    return {"images": len(ledger), "bad": len(bad), "first": first}


def refuse_too_many_bad(found: Mapping[str, Any], max_bad: float) -> str | None:
    """Why the run has to end, or None: the share of bad images, as `bad_images` found them, is over `max_bad`."""
    if found["bad"] <= max_bad * found["images"]:
        return None
    return (
        f"{found['bad']} of {found['images']} source images cannot be used, more than --max-bad {max_bad:g} allows; "
        f"the first: {found['first']}"
    )


def say_what_is_bad(ledger: Ledger, progress: Progress) -> None:
    """One line for every reason for which source images cannot be used, with the first image of each; and one for
    those whose annotations are for a picture of another size.
    """
    for reason, count in ledger.drops_by_stage().get("source", {}).items():
        here = ledger.coded("dropped_by").equal("source") & ledger.coded("dropped").equal(reason)
        first = next(iter(ledger.samples(np.flatnonzero(here)[:1])))
        which = first.source or first.id
        progress.say(f"{which}: {reason}" + (f"; and {count - 1:,} more images like it" if count > 1 else ""))
    others = np.array([place for place, (note,) in enumerate(ledger.each(("note",))) if is_left_out(note)], np.int64)
    for first in ledger.samples(others[:1]):
        which = f"{first.source or first.id}: {first.note}"
        many = "1 image is" if len(others) == 1 else f"{len(others):,} images are"
        progress.say(f"{many} not of the size that its annotations are for. {which}. To use them, {ADVICE}")
