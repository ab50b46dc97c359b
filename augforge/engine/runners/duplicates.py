"""Run the filter `duplicates`: look at every image once, gather what is near, decide over all, give reasons."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augforge.algorithms.duplicates.close import close_pairs
from augforge.algorithms.duplicates.crops import SLIGHTLY, SMALLEST
from augforge.algorithms.duplicates.evidence import NOBODY, Rows, Search, Verdict, copies_of, settle
from augforge.algorithms.duplicates.pairs import Pairs, Tell, pair_blocks
from augforge.algorithms.selection.by_rows import pool_of
from augforge.algorithms.selection.neighbours import nearest
from augforge.algorithms.selection.points import Likeness
from augforge.data.ids import key
from augforge.data.ledger import Indices, Ledger
from augforge.data.parts import Parts
from augforge.engine.context import RunContext
from augforge.engine.embedding import Drop, Embedder, Embedders, dropper
from augforge.engine.ingest import How, read_sources
from augforge.engine.pixels import Pixels
from augforge.engine.rows import drop_all, look_at, without_rows
from augforge.engine.runners.candidates import Candidates, Hashing, References, look_parts
from augforge.engine.runners.closer_look import ByDigest, CloserLook
from augforge.engine.runners.conflicts import Conflicts
from augforge.engine.work import Place
from augforge.io import detect, open_source
from augforge.progress import Progress
from augforge.recipe import SourceSpec
from augforge.stages.filters.duplicates import Duplicates

NEIGHBOURS = 20
BEYOND = 2 << 30
"""Bytes of vectors in float32, beyond which they are not read as a whole, but by rows."""
SHOWN = 20_000  # so many are compared within seconds: no bar below that
DISTANCE = "duplicate-distance"


def run_duplicates(stage: Duplicates, title: str, context: RunContext) -> dict[str, int]:
    """Drop copies of references, memorised parents and duplicates; score the bits to the nearest."""
    ledger, progress, drop = context.ledger, context.progress, context.drop_as(title)
    parts = look_parts(context.store)
    others, read = _references(stage, context)
    wanted, looked, embedded = _wanted(ledger), 0, 0
    if stage.by != "exact":
        looked = _look(ledger, wanted, parts, context.pixels, drop, context)
        if ahead := context.ahead.of(parts)[0]:
            looked += min(ahead, ledger.distinct("digest", wanted) - looked)
        looked += _look(others.ledger, others.indices, parts, others.pixels, others.drop, context)
    close = np.zeros((0, 2), dtype=np.int64)
    models = _embedders(stage, others, context.embedders) if stage.by == "embedding" else None
    if models:
        embedded = _embed(models, ledger, others, drop)
    others = replace(others, indices=others.ledger.visible())
    bytes_of = ByDigest((others.ledger, others.pixels), (ledger, context.pixels))
    closer = CloserLook(context.store, bytes_of, flips=stage.flips)
    if stage.parents and stage.by != "exact":
        _drop_memorised(Candidates(stage, ledger, others, parts, closer), title)
    candidates = Candidates(stage, ledger, others, parts, closer)
    _say_if_narrow(candidates, progress)
    if models:
        close = _close(candidates, models, drop)
    _drop_duplicates(candidates, title, close, progress)
    closer.commit()
    return {"measured": read + looked + embedded, "reused": max(0, len(wanted) - looked)}


def _say_if_narrow(candidates: Candidates, progress: Progress) -> None:
    """Say that so many images are compared that hashes count as near within fewer bits than usual."""
    stage = candidates.stage
    if stage.distance == "auto" and stage.by != "exact" and candidates.distance < stage.reach(0):
        progress.say(
            f"duplicates: {candidates.size:,} images: hashes within {candidates.distance} bits, see --distance"
        )


def against_key(stage: Duplicates) -> str:
    """What the result depends on beside the run's own sources: the entries of `against`, "" without it."""
    if stage.against is None:
        return ""
    source = open_source(*detect(stage.against))
    return key("against", source.where, [[entry.locator, entry.stamp] for entry in source.entries()])


def _references(stage: Duplicates, context: RunContext) -> tuple[References, int]:
    """The references, and how many had to be read."""
    if stage.against is None:
        nothing = Ledger()
        return References(nothing, nothing.visible(), Pixels([]), dropper(nothing, "against")), 0
    spec = SourceSpec(*detect(stage.against))
    source = open_source(spec.kind, spec.value)
    ledger, read = read_sources([source], context.store, context.progress, how=How([spec], context.engine))
    if bad := len(ledger) - len(ledger.visible()):
        context.progress.say(f"duplicates: {bad} images of {stage.against} cannot be used")
    pixels = Pixels([source], (spec,))
    return References(ledger, ledger.visible(), pixels, dropper(ledger, "against")), read


def _wanted(ledger: Ledger) -> Indices:
    """The kept samples, and the parents of kept ones."""
    visible = ledger.visible()
    _, ids = ledger.lists("parents", visible)
    parents = np.unique(ledger.find(ids)) if len(ids) else visible[:0]
    parents = parents[parents >= 0]
    found: Indices = np.union1d(visible, parents[ledger.texts("digest", parents) != b""])
    return found


def _look(ledger: Ledger, indices: Indices, parts: Parts, pixels: Pixels, drop: Drop, context: RunContext) -> int:
    """Hash and shrink the images that no one has looked at; how many these were."""
    todo = without_rows(ledger, indices, parts)
    refused = look_at(Hashing(), ledger, todo, parts, Place(pixels, "cpu", context.progress), context.engine)
    drop_all(refused.dropped, drop)
    return len(todo)


def _embedders(stage: Duplicates, others: References, embedders: Embedders) -> tuple[Embedder, Embedder]:
    """What embeds the samples, and what embeds the references."""
    theirs = embedders.over(others.pixels)
    return embedders.of(stage.model), theirs.of(stage.model)


def _embed(models: tuple[Embedder, Embedder], ledger: Ledger, others: References, drop: Any) -> int:
    """Embed what has no vector yet; how many these were."""
    own, theirs = models
    before = own.computed
    own.embed(ledger, ledger.visible(), drop)
    if len(others.indices):
        theirs.embed(others.ledger, others.indices, others.drop)
    return own.computed - before + theirs.computed


def _vectors(candidates: Candidates, models: tuple[Embedder, Embedder], drop: Any) -> NDArray[np.float32]:
    """(size, d) the vectors of all that are compared, which were embedded before."""
    own, theirs = models
    found = [own.images(candidates.ledger, candidates.indices, drop)]
    if len(candidates.others.indices):
        found.append(theirs.images(candidates.others.ledger, candidates.others.indices, candidates.others.drop))
    return np.concatenate(found)


def _close(candidates: Candidates, models: tuple[Embedder, Embedder], drop: Drop) -> Pairs:
    """(p, 2) pairs of which one is among the nearest of the other, and whose pictures overlap."""
    if candidates.size < 2:
        return np.zeros((0, 2), dtype=np.int64)
    width = models[0].embed(candidates.ledger, candidates.indices, drop)
    if 4 * candidates.size * width > BEYOND:
        return _close_by_rows(candidates, models[0])
    vectors = _vectors(candidates, models, drop)
    near = nearest(vectors, Likeness("cosine"), min(candidates.size, NEIGHBOURS + 1))
    left, right = np.repeat(np.arange(candidates.size), near.near.shape[1]), near.near.reshape(-1).astype(np.int64)
    alike = (near.values.reshape(-1) >= candidates.stage.similarity) & (left != right)
    pairs = np.unique(np.sort(np.stack([left, right], axis=1)[alike], axis=1), axis=0)
    return _overlapping(candidates, pairs)


def _close_by_rows(candidates: Candidates, embedder: Embedder) -> Pairs:
    """The same where the vectors are too many for the memory: by cells, from where they are stored."""
    rows = np.arange(candidates.size)
    digests = candidates.digests_of(rows)
    keys = np.array([int(digest[:16], 16) for digest in digests], dtype=np.uint64)
    pool = pool_of(embedder.rows(digests), rows, "cosine", 1.0, keys)
    blocks = close_pairs(pool, candidates.stage.similarity, most=NEIGHBOURS)
    found = [_overlapping(candidates, pairs) for pairs in blocks]
    return np.unique(np.concatenate([np.zeros((0, 2), dtype=np.int64), *found]), axis=0)


def _overlapping(candidates: Candidates, pairs: Pairs) -> Pairs:
    """Those of `pairs` (p, 2) that may be evidence, and whose pictures overlap."""
    pairs = pairs[candidates.comparable(pairs)]
    left, right = pairs.T
    bits = candidates.apart(candidates.hashes[left], candidates.hashes[right])
    return pairs[candidates.confirmed(candidates.digests_of(left), candidates.digests_of(right), bits, SMALLEST)]


def _drop_memorised(candidates: Candidates, title: str) -> None:
    """Drop the synthetic samples that are near-copies of a parent, whether that was kept or not."""
    stage, ledger = candidates.stage, candidates.ledger
    families = _with_parents(candidates)
    there = candidates.looked_at([digest for _, _, digest in families])
    families = [family for family, known in zip(families, there, strict=True) if known]
    rows = np.array([row for row, _, _ in families], dtype=np.int64)
    left, right = candidates.digests_of(rows), [digest for _, _, digest in families]
    bits = candidates.apart(candidates.hash_of(left), candidates.hash_of(right))
    candidate = np.flatnonzero((bits <= candidates.distance) | (stage.by == "embedding") | (np.array(left) == right))
    same, parent = ([side[place] for place in candidate.tolist()] for side in (left, right))
    smallest = SMALLEST if stage.by == "embedding" else SLIGHTLY
    found = candidate[candidates.confirmed(same, parent, bits[candidate], smallest)]
    for place in found[np.argsort(-bits[found], kind="stable")].tolist():  # the nearest parent has the last word
        index = candidates.indices[rows[place : place + 1]]
        ledger.drop(index, f"memorised: near-copy of its parent {families[place][1][:8]} ({_bits(bits[place])})", title)
        ledger.score(DISTANCE, index, bits[place : place + 1].astype(np.float64))


def _with_parents(candidates: Candidates) -> list[tuple[int, str, str]]:
    """Free samples and their parents: the row, the parent's id and its digest, as far as that is known."""
    ledger = candidates.ledger
    free = np.flatnonzero(~candidates.fixed[: candidates.n])
    children, ids = ledger.lists("parents", candidates.indices[free])
    places = ledger.find(ids)
    children, places = free[children[places >= 0]], places[places >= 0]
    found = zip(children.tolist(), ledger.each(("id", "digest"), places), strict=True)
    return [(row, parent, digest) for row, (parent, digest) in found if digest]


def _drop_duplicates(candidates: Candidates, title: str, close: Pairs, progress: Progress) -> None:
    """Settle who stays among all, and give the others their reasons and scores."""
    copies = _copies(candidates)
    conflicts = Conflicts(candidates)
    conflicts.note(copies)
    nearest_bits = np.full(candidates.size, np.nan)
    nearest_bits[copies.reshape(-1)] = 0
    close = conflicts.without(close)
    with _bar(candidates, progress) as tell:
        search = _search(candidates, close, conflicts, nearest_bits, tell)
        verdict = settle(candidates.rank, candidates.fixed, copies, search)
    gone = np.flatnonzero(verdict.by[: candidates.n] != NOBODY)
    reasons = _reasons(candidates, gone, verdict)
    candidates.ledger.drop(candidates.indices[gone], np.array(reasons, dtype=object), title)
    known = np.flatnonzero(~np.isnan(nearest_bits[: candidates.n]))
    candidates.ledger.score(DISTANCE, candidates.indices[known], nearest_bits[known])
    for told in filter(None, (conflicts.told(title), conflicts.differing(title, copies))):
        progress.about(told)


def _copies(candidates: Candidates) -> Pairs:
    """(p, 2) exact copies, each with the one that stays: of references, and among samples."""
    codes = groups = candidates.codes
    if candidates.stage.within == "class":
        groups = codes.astype(np.int64) * (len(candidates.ledger.classes) + 1) + candidates.labels + 1
    rank = np.where(candidates.fixed, candidates.rank - candidates.size, candidates.rank)
    pairs = copies_of(codes if len(candidates.others.indices) else groups, rank)
    if len(candidates.others.indices):
        pairs = np.concatenate([pairs[candidates.reference[pairs].any(axis=1)], copies_of(groups, rank)])
    left, right = pairs.T
    open_: Pairs = pairs[~(candidates.evaluation[left] & candidates.evaluation[right])]
    return open_


def _search(
    candidates: Candidates, close: Pairs, conflicts: Conflicts, nearest_bits: NDArray[np.float64], tell: Tell
) -> Search:
    """Finds pairs that are near by hash, and takes from `close` (p, 2); notes the bits to the nearest of each."""
    stage = candidates.stage

    def near(rows: Rows) -> Iterator[Pairs]:
        blocks = pair_blocks(candidates.hashes[rows], candidates.distance, flips=stage.flips, tell=tell)
        for found, bits in blocks if stage.by != "exact" else ():
            pairs = rows[found]
            good = np.flatnonzero(candidates.comparable(pairs))
            left, right = pairs[good].T
            good = good[candidates.confirmed(candidates.digests_of(left), candidates.digests_of(right), bits[good])]
            for side in (0, 1):
                np.fmin.at(nearest_bits, pairs[good, side], bits[good].astype(np.float64))
            yield conflicts.without(pairs[good])
        here = np.zeros(candidates.size, dtype=bool)
        here[rows] = True
        yield close[here[close].all(axis=1)]

    return near


def _reasons(candidates: Candidates, gone: Rows, verdict: Verdict) -> list[str]:
    """(g,) why each of `gone` (g,) goes."""
    by = verdict.by[gone]
    bits = candidates.apart(candidates.hashes[gone], candidates.hashes[by])
    fits = np.full(len(gone), np.nan)
    far = np.flatnonzero(bits > candidates.distance)
    if candidates.stage.by == "embedding":
        fits[far] = candidates.fit(candidates.digests_of(gone[far]), candidates.digests_of(by[far]), SMALLEST)
    places, clusters = candidates.place_of_id, verdict.cluster
    lowest = np.full(int(clusters.max(initial=-1)) + 1, candidates.size)
    np.minimum.at(lowest, clusters[: candidates.n], places[: candidates.n])
    row_of = np.empty(candidates.size, dtype=np.int64)
    row_of[places] = np.arange(candidates.size)
    names = [name.decode() for name in candidates.texts("id", row_of[lowest[clusters[gone]]]).tolist()]
    rows = zip(gone.tolist(), by.tolist(), bits.tolist(), fits.tolist(), names, strict=True)
    return [
        _reason(candidates, row, other, _distance(candidates, apart, fit), name)
        for row, other, apart, fit, name in rows
    ]


def _distance(candidates: Candidates, apart: int, fit: float) -> str:
    """How near two images are: by their hashes, or else by how well they overlap."""
    return _bits(apart) if apart <= candidates.distance else f"overlap {fit:.2f}"


def _reason(candidates: Candidates, row: int, other: int, distance: str, cluster: str) -> str:
    """Why `row` goes and `other` stays."""
    same = candidates.codes[row] == candidates.codes[other]
    leaks = candidates.reference[other] or candidates.evaluation[other]
    what = "exact copy" if same else "near-duplicate"
    how = "" if same else f" ({distance})"
    how += f", which is labelled {candidates.label(other)!r}" if candidates.in_conflict(row, other) else ""
    better = "" if same or leaks else f", {candidates.advantage(row, other)}"
    group = "" if candidates.reference[other] else f", cluster {cluster[:8]}"
    return f"{'leakage: ' if leaks else ''}{what} of {candidates.name(other)}{how}{better}{group}"


def _bits(count: int) -> str:
    return "1 bit" if count == 1 else f"{count} bits"


@contextmanager
def _bar(candidates: Candidates, progress: Progress) -> Iterator[Tell]:
    """Shows how far the first comparison of many images is, in percent."""
    if candidates.size < SHOWN:
        yield lambda share: None
        return
    with progress.bar("compare", 100, "%") as bar:
        done = 0

        def tell(share: float) -> None:
            nonlocal done
            if int(100 * share) > done:
                bar.advance(int(100 * share) - done)
                done = int(100 * share)

        yield tell
