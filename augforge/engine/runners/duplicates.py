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
from augforge.algorithms.duplicates.pairs import Pairs, Tell
from augforge.algorithms.selection.by_rows import pool_of
from augforge.algorithms.selection.neighbours import nearest
from augforge.algorithms.selection.points import Likeness
from augforge.algorithms.selection.units import Run
from augforge.data.ledger import Indices, Ledger
from augforge.data.parts import Parts
from augforge.engine.calls import Caller
from augforge.engine.context import RunContext
from augforge.engine.embedding import Drop, Embedder, Embedders
from augforge.engine.pixels import Pixels
from augforge.engine.rows import drop_all, look_at, without_rows
from augforge.engine.runners.candidates import Candidates, Hashing, References, look_parts
from augforge.engine.runners.comparisons import ByDigest, Comparisons
from augforge.engine.runners.conflicts import Conflicts
from augforge.engine.runners.portions import portions_of
from augforge.engine.runners.references import references_of
from augforge.engine.work import Place
from augforge.progress import Progress
from augforge.stages.filters.duplicates import Duplicates

NEIGHBOURS = 20
BEYOND = 2 << 30
"""Bytes of vectors in float32, beyond which they are not read as a whole, but by rows."""
SHOWN = 20_000  # so many are compared within seconds: no bar below that
DISTANCE = "duplicate-distance"
UNKNOWN = 255
"""The bits to the nearest one of a row that is near to none."""


def run_duplicates(stage: Duplicates, title: str, context: RunContext) -> dict[str, int]:
    """Drop copies of references, memorised parents and duplicates; score the bits to the nearest."""
    ledger, progress, drop = context.ledger, context.progress, context.drop_as(title)
    parts = look_parts(context.store)
    others, read = references_of(stage.against, stage.name, context)
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
    images = ByDigest((others.ledger, others.pixels), (ledger, context.pixels))
    comparisons = Comparisons(context.store, parts, images, context.engine, flips=stage.flips)
    candidates = Candidates(stage, ledger, others, parts, comparisons)
    if stage.parents and stage.by != "exact" and _drop_memorised(candidates, title):
        candidates = Candidates(stage, ledger, others, parts, comparisons)
    _say_if_narrow(candidates, progress)
    if models:
        run = Caller(context.store, context.engine, context.place, "compare vectors")
        close = _close(candidates, models, drop, run)
    _drop_duplicates(candidates, title, close, context)
    reused = 0 if stage.by == "exact" else max(0, len(wanted) - looked)  # digests are no measures
    return {"measured": read + looked + embedded, "reused": reused}


def _say_if_narrow(candidates: Candidates, progress: Progress) -> None:
    """Say that so many images are compared that hashes count as near within fewer bits than usual."""
    stage = candidates.stage
    if stage.distance == "auto" and stage.by != "exact" and candidates.distance < stage.reach(0):
        progress.say(
            f"duplicates: {candidates.size:,} images: hashes within {candidates.distance} bits, see --distance"
        )


def _wanted(ledger: Ledger) -> Indices:
    """The kept samples, and the parents of kept ones."""
    wanted = ledger.kept.copy()
    _, ids = ledger.lists("parents", np.flatnonzero(wanted))
    parents = np.unique(ledger.find(ids)) if len(ids) else np.zeros(0, dtype=np.int64)
    parents = parents[parents >= 0]
    wanted[parents[ledger.texts("digest", parents) != b""]] = True
    return np.flatnonzero(wanted)


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


def _close(candidates: Candidates, models: tuple[Embedder, Embedder], drop: Drop, run: Run) -> Pairs:
    """(p, 2) pairs of which one is among the nearest of the other, and whose pictures overlap."""
    if candidates.size < 2:
        return np.zeros((0, 2), dtype=np.int64)
    width = models[0].embed(candidates.ledger, candidates.indices, drop)
    if 4 * candidates.size * width > BEYOND:
        return _close_by_rows(candidates, models[0], run)
    vectors = _vectors(candidates, models, drop)
    near = nearest(vectors, Likeness("cosine"), min(candidates.size, NEIGHBOURS + 1))
    left, right = np.repeat(np.arange(candidates.size), near.near.shape[1]), near.near.reshape(-1).astype(np.int64)
    alike = (near.values.reshape(-1) >= candidates.stage.similarity) & (left != right)
    pairs = np.unique(np.sort(np.stack([left, right], axis=1)[alike], axis=1), axis=0)
    return _overlapping(candidates, pairs)


def _close_by_rows(candidates: Candidates, embedder: Embedder, run: Run) -> Pairs:
    """The same where the vectors are too many for the memory: by cells, from where they are stored."""
    rows = np.arange(candidates.size)
    digests = candidates.digests_of(rows)
    keys = np.array([int(digest[:16], 16) for digest in digests], dtype=np.uint64)
    pool = pool_of(embedder.rows(digests), rows, "cosine", 1.0, keys)
    blocks = close_pairs(pool, candidates.stage.similarity, most=NEIGHBOURS, run=run)
    found = [_overlapping(candidates, pairs) for pairs in blocks]
    return np.unique(np.concatenate([np.zeros((0, 2), dtype=np.int64), *found]), axis=0)


def _overlapping(candidates: Candidates, pairs: Pairs) -> Pairs:
    """Those of `pairs` (p, 2) that may be evidence, and whose pictures overlap."""
    pairs = pairs[candidates.comparable(pairs)]
    left, right = pairs.T
    bits = candidates.apart(candidates.hashes[left], candidates.hashes[right])
    return pairs[candidates.confirmed(candidates.digests_of(left), candidates.digests_of(right), bits, SMALLEST)]


def _drop_memorised(candidates: Candidates, title: str) -> int:
    """Drop the synthetic samples that are near-copies of a parent, whether that was kept or not; how many pairs."""
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
    return len(found)


def _with_parents(candidates: Candidates) -> list[tuple[int, str, str]]:
    """Free samples and their parents: the row, the parent's id and its digest, as far as that is known."""
    ledger = candidates.ledger
    free = np.flatnonzero(~candidates.fixed[: candidates.n])
    children, ids = ledger.lists("parents", candidates.indices[free])
    places = ledger.find(ids)
    children, places = free[children[places >= 0]], places[places >= 0]
    found = zip(children.tolist(), ledger.each(("id", "digest"), places), strict=True)
    return [(row, parent, digest) for row, (parent, digest) in found if digest]


def _drop_duplicates(candidates: Candidates, title: str, close: Pairs, context: RunContext) -> None:
    """Settle who stays among all, and give the others their reasons and scores."""
    copies = _copies(candidates)
    conflicts = Conflicts(candidates)
    conflicts.note(copies)
    nearest_bits = np.full(candidates.size, UNKNOWN, dtype=np.uint8)
    nearest_bits[copies.reshape(-1)] = 0
    close = conflicts.without(close)
    with _bar(candidates, context.progress) as tell:
        search = _search(candidates, close, conflicts, nearest_bits, tell)
        verdict = settle(candidates.rank, candidates.fixed, copies, search, context.store.folder)
    gone = np.flatnonzero(verdict.by[: candidates.n] != NOBODY)
    reasons = _reasons(candidates, gone, verdict)
    candidates.ledger.drop(candidates.indices[gone], np.array(reasons, dtype=object), title)
    known = np.flatnonzero(nearest_bits[: candidates.n] != UNKNOWN)
    candidates.ledger.score(DISTANCE, candidates.indices[known], nearest_bits[known].astype(np.float64))
    for told in filter(None, (conflicts.told(title), conflicts.differing(title, copies))):
        context.progress.about(told)


def _copies(candidates: Candidates) -> Pairs:
    """(p, 2) exact copies, each with the one that stays: of references, and among samples."""
    copied = np.flatnonzero(candidates.codes < candidates.size)
    codes = groups = candidates.codes[copied].astype(np.int64)
    if candidates.stage.within == "class":
        groups = codes * (len(candidates.ledger.classes) + 1) + candidates.labels[copied] + 1
    rank = np.where(candidates.fixed, candidates.rank - candidates.size, candidates.rank)[copied]
    pairs = copies_of(codes if len(candidates.others.indices) else groups, rank)
    if len(candidates.others.indices):
        reference = candidates.reference[copied]
        pairs = np.concatenate([pairs[reference[pairs].any(axis=1)], copies_of(groups, rank)])
    left, right = copied[pairs].T
    open_ = ~(candidates.evaluation[left] & candidates.evaluation[right])
    return np.stack([left[open_], right[open_]], axis=1)


def _search(
    candidates: Candidates, close: Pairs, conflicts: Conflicts, nearest_bits: NDArray[np.uint8], tell: Tell
) -> Search:
    """Finds pairs that are near by hash, and takes from `close` (p, 2); notes the bits to the nearest of each."""
    stage = candidates.stage

    def near(rows: Rows) -> Iterator[Pairs]:
        portions = portions_of(candidates, rows, tell) if stage.by != "exact" else ()
        for pairs, bits in portions:
            left, right = pairs.T
            good = np.flatnonzero(candidates.confirmed(candidates.digests_of(left), candidates.digests_of(right), bits))
            for side in (0, 1):
                np.minimum.at(nearest_bits, pairs[good, side], bits[good])
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
    lowest = np.full(int(clusters.max(initial=-1)) + 1, candidates.size, dtype=places.dtype)
    np.minimum.at(lowest, clusters[: candidates.n], places[: candidates.n])
    row_of = np.empty_like(places)
    row_of[places] = np.arange(candidates.size)
    names = [name.decode() for name in candidates.texts("id", row_of[lowest[clusters[gone]]]).tolist()]
    rows = zip(gone.tolist(), by.tolist(), bits.tolist(), fits.tolist(), names, strict=True)
    known = candidates.names(by)
    return [
        _reason(candidates, (row, other), _distance(candidates, apart, fit), known[other], name)
        for row, other, apart, fit, name in rows
    ]


def _distance(candidates: Candidates, apart: int, fit: float) -> str:
    """How near two images are: by their hashes, or else by how well they overlap."""
    return _bits(apart) if apart <= candidates.distance else f"overlap {fit:.2f}"


def _reason(candidates: Candidates, pair: tuple[int, int], distance: str, name: str, cluster: str) -> str:
    """Why the first of a pair of rows goes and the other one, which is called `name`, stays."""
    row, other = pair
    same = candidates.codes[row] == candidates.codes[other]
    leaks = candidates.reference[other] or candidates.evaluation[other]
    what = "exact copy" if same else "near-duplicate"
    how = "" if same else f" ({distance})"
    how += f", which is labelled {candidates.label(other)!r}" if candidates.in_conflict(row, other) else ""
    better = "" if same or leaks else f", {candidates.advantage(row, other)}"
    group = "" if candidates.reference[other] else f", cluster {cluster[:8]}"
    return f"{'leakage: ' if leaks else ''}{what} of {name}{how}{better}{group}"


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
