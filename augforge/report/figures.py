"""The figures of a report as PNG, for notebooks and TensorBoard."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from augforge.data.measures import MEASURES, NATS
from augforge.optional import require
from augforge.report.collect import Findings
from augforge.report.evaluation import EARLIER, Comparison, Evaluation, Interval
from augforge.report.layout import Layout
from augforge.report.outcomes import COLOURS, OUTCOMES, outcomes_of

MOST_CLASSES = 40
INCHES = (8.0, 4.5)
DPI = 110


def figures(findings: Findings) -> dict[str, bytes]:
    """PNG files by name: the class balance, a histogram of each measure, and, of what the run has, the curve of each
    selection, the map of the embeddings and the evaluation."""
    drawn = {"class-balance": _png(partial(_balance, findings=findings))}
    for measure in findings.measures:
        drawn[f"histogram-{_word(measure.name)}"] = _png(partial(_scores, findings=findings, name=measure.name))
    for title, facts in findings.certificates.items():
        drawn[f"selection-{_word(title)}"] = _png(partial(_curve, title=title, facts=facts))
    if findings.layout is not None:
        drawn |= {
            name: _png(partial(_map, findings=findings, places=places)) for name, places in _maps(findings.layout)
        }
    if findings.evaluation is not None:
        for one in findings.evaluation.comparisons:
            name = "evaluation" if one.shots is None else f"evaluation-{one.shots}-shots"
            drawn[name] = _png(partial(_evaluation, evaluation=findings.evaluation, one=one))
    return drawn


def _png(draw: Callable[[Any], None]) -> bytes:
    """One panel, drawn; the same data give the same bytes."""
    require("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, layout="constrained")
    panel = figure.subplots()
    panel.spines[["top", "right"]].set_visible(False)
    draw(panel)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
    return out.getvalue()


def _balance(panel: Any, findings: Findings) -> None:
    """Bars of each class after the run, and a mark where it was before; the largest classes first."""
    rows = sorted(findings.balance().items(), key=lambda item: (-item[1][0], item[0]))
    counts = np.array([row for _, row in rows], dtype=np.int64).reshape(len(rows), 3)
    at = np.arange(len(rows))
    panel.bar(at, counts[:, 1], color=COLOURS["real"], label="real, after")
    panel.bar(at, counts[:, 2], bottom=counts[:, 1], color=COLOURS["synthetic"], label="synthetic, after")
    panel.scatter(at, counts[:, 0], marker="_", s=160, color="black", linewidths=2, label="real, before", zorder=3)
    if len(rows) <= MOST_CLASSES:
        panel.set_xticks(at, [_text(label, 24) for label, _ in rows], rotation=45, ha="right")
    panel.set(ylabel="images", title="Class balance", xlabel="" if len(rows) <= MOST_CLASSES else "class, by size")
    panel.yaxis.get_major_locator().set_params(integer=True)
    panel.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def _scores(panel: Any, findings: Findings, name: str) -> None:
    """Stacked bars of the scores: what is kept, and what went."""
    measure = next(measure for measure in findings.measures if measure.name == name)
    found = pc.map_lookup(findings.rows.column("scores"), name, "first").to_numpy()
    scores, outcomes = np.asarray(found, dtype=np.float64), outcomes_of(findings.rows)
    known = ~np.isnan(scores)
    names = [outcome for outcome in OUTCOMES if (known & (outcomes == outcome)).any()]
    panel.hist(
        [scores[known & (outcomes == outcome)] for outcome in names],
        bins=list(measure.groups[0].edges),
        stacked=True,
        color=[COLOURS[outcome] for outcome in names],
        label=names,
    )
    panel.set(xlabel=f"{name} ({'less' if measure.lower_is_better else 'more'} is better)", ylabel="images", title=name)
    panel.legend(frameon=False)


def _curve(panel: Any, title: str, facts: dict[str, Any]) -> None:
    """By how much each way of choosing is better than a random one: the curves themselves lie on each other."""
    curve, last = facts["curve"], facts["curve"]["budget"][-1]
    random = np.array(curve.get("random") or np.zeros(len(curve["budget"])))
    for name, style in (("chosen", "-"), ("k-center", "--"), ("random", ":")):
        if curve.get(name) is not None:
            panel.plot(curve["budget"], np.array(curve[name]) - random, style, label=name, linewidth=2)
    panel.plot([last], [facts["upper-bound"] - random[-1]], "v", color="grey", label="no choice is over", clip_on=False)
    panel.set(xlabel="images chosen", ylabel="objective over that of random", xscale="log")
    panel.set_title(f"{_text(title, 60)}: within {facts['gap']:.2%} of the best")
    panel.legend(frameon=False)


@dataclass(frozen=True, slots=True)
class _Places:
    """What a map shows: the ledger's rows (m,), where they lie (m, 2), a title and the names of both axes."""

    rows: NDArray[np.int64]
    places: NDArray[np.float32]
    title: str
    axes: tuple[str, str]


def _maps(layout: Layout) -> Iterator[tuple[str, _Places]]:
    """The map of the principal components, and that by UMAP if there is one."""
    model, (first, second) = _text(layout.model, 50), layout.explained
    axes = (f"first component ({first:.0%})", f"second component ({second:.0%})")
    yield "embedding-map", _Places(layout.rows, layout.places, f"Embeddings by {model}, PCA", axes)
    if layout.umap is not None:
        rows = layout.rows[layout.umap.chosen]
        yield "embedding-map-umap", _Places(rows, layout.umap.places, f"Embeddings by {model}, UMAP", ("", ""))


def _map(panel: Any, findings: Findings, places: _Places) -> None:
    outcomes = outcomes_of(findings.rows)[places.rows]
    for outcome in reversed(OUTCOMES):
        mine = places.places[outcomes == outcome]
        if len(mine):
            size = 14 if len(places.rows) < 5000 else 4
            panel.scatter(
                mine[:, 0], mine[:, 1], s=size, color=COLOURS[outcome], label=outcome, alpha=0.7, linewidths=0
            )
    across, up = places.axes
    panel.set(xlabel=across, ylabel=up, title=places.title, aspect="equal")
    panel.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def _evaluation(panel: Any, evaluation: Evaluation, one: Comparison) -> None:
    """The measures of each arm with their intervals, two at most."""
    at = np.arange(len(one.arms))[::-1]
    shares = [name for name in one.measures if name not in NATS]
    for name, by, origin in zip(shares, (0.12, -0.12), ("real", "synthetic"), strict=False):
        _intervals(panel, at + by, [arm.scores[name] for arm in one.arms], MEASURES[name], COLOURS[origin])
    panel.set_yticks(at, [_text(arm.name, 30) for arm in one.arms])
    earlier = "of an earlier result" if evaluation.caution == EARLIER else ""
    told = (_text(evaluation.test, 50), _text(evaluation.learner, 30), one.subsampled, earlier)
    title = f"{', '.join(filter(None, told))}; {evaluation.seeds} seeds"
    panel.set(title=title, ylim=(-0.6, len(at) - 0.4))
    panel.grid(axis="x", alpha=0.3)
    panel.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def _intervals(panel: Any, at: Any, scores: list[Interval], name: str, colour: str) -> None:
    means = np.array([score.mean for score in scores])
    ends = [[end(score) for score in scores] for end in (_low, _high)]
    around = np.abs(np.array(ends) - means)
    panel.errorbar(means, at, xerr=around, fmt="o", color=colour, capsize=4, linewidth=2, label=name)


def _low(score: Interval) -> float:
    return score.mean if score.low is None else score.low


def _high(score: Interval) -> float:
    return score.mean if score.high is None else score.high


def _word(text: str) -> str:
    """A name for a file."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "unnamed"


def _text(text: str, most: int) -> str:
    """A text that matplotlib draws as it is (a dollar sign would begin a formula), cut if it is long."""
    short = text if len(text) <= most else text[: most - 1] + "…"
    return short.replace("$", r"\$")
