"""Queries, their rows and counts, live cuts, and pictures to search by."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any

import numpy as np
from starlette.responses import Response

from augforge.data import images
from augforge.errors import BadImage
from augforge.view.asked import Asked, Handler, binary
from augforge.view.cut import Cut, described
from augforge.view.opened import OpenRun
from augforge.view.query import Answer
from augforge.view.refill import refill
from augforge.view.refusals import bad_request
from augforge.view.rows import facets, histogram, page
from augforge.view.spec import CutAsked, CutFilter, Filters, Lasso, Spec, parsed

MOST_ROWS = 1000
PEOPLE = "{:,} of the images that it saw are not counted: a later stage follows what people decided about them"
LATER = "the stages after it decide about what comes back when the recipe is run again"


def query(asked: Asked) -> Mapping[str, Any]:
    """Ask a query."""
    name, answer = asked.run.queries.ask(parsed(Spec, asked.json()))
    return _told(asked.run, name, answer)


def lasso(asked: Asked) -> Mapping[str, Any]:
    """The samples inside of a polygon on a map, of another query if one is given."""
    plain = asked.json()
    within = plain.pop("query", None)
    spec = Spec() if within is None else asked.run.queries.of(str(within)).spec
    filters = spec.filters.model_copy(update={"lasso": parsed(Lasso, plain)})
    name, answer = asked.run.queries.ask(spec.model_copy(update={"filters": filters}))
    return _told(asked.run, name, answer)


def _told(run: OpenRun, name: str, answer: Answer) -> dict[str, Any]:
    return {
        "query": name,
        "total": len(answer.rows),
        "of": len(run.index),
        "seconds": round(answer.seconds, 4),
        "similarity": answer.similarity is not None,
    }


def again(asked: Asked) -> Mapping[str, Any]:
    """What was asked, and the answer."""
    name = asked.path["query"]
    answer = asked.run.queries.of(name)
    return {**_told(asked.run, name, answer), "body": answer.spec.plain()}


def rows(asked: Asked) -> Mapping[str, Any]:
    """Some rows of a query."""
    offset, limit = asked.number("offset", 0, 0, 2**31), asked.number("limit", 200, 1, MOST_ROWS)
    answer = asked.run.queries.of(asked.path["query"])
    return {"offset": offset, "rows": page(asked.run, answer, offset, limit, asked.query.get("shapes") == "1")}


def index(asked: Asked) -> Response:
    """The row numbers of a query."""
    answer = asked.run.queries.of(asked.path["query"])
    offset, limit = asked.number("offset", 0, 0, 2**31), asked.number("limit", 2**31, 1, 2**31)
    return binary(answer.rows[offset : offset + limit])


def position(asked: Asked) -> Mapping[str, Any]:
    """Where in a query a sample stands."""
    answer = asked.run.queries.of(asked.path["query"])
    found = np.flatnonzero(answer.rows == asked.run.row(asked.text("id")))
    return {"position": int(found[0]) if len(found) else None}


def counts(asked: Asked) -> Mapping[str, Any]:
    """How many rows of a query have each value."""
    return facets(asked.run, asked.run.queries.of(asked.path["query"]).rows)


def scores(asked: Asked) -> Mapping[str, Any]:
    """The histogram of a score within a query."""
    name, bins = asked.text("score"), asked.number("bins", 40, 1, 400)
    if name not in asked.run.index.scores:
        raise bad_request(f"this run has no score {name[:80]!r}")
    return histogram(asked.run, asked.run.queries.of(asked.path["query"]).rows, name, bins)


def cut_of(asked: Asked) -> Mapping[str, Any]:
    """The present cut of a filter, and how well it can be foreseen here."""
    title = asked.text("stage")
    filtering = asked.run.filtering
    filtering.filter(title)  # refuses what cannot be decided again
    return described(filtering, title) or {}


def cut(asked: Asked) -> Mapping[str, Any]:
    """Decide a filter again with other options."""
    began, wanted = monotonic(), parsed(CutAsked, asked.json())
    run = asked.run
    found = run.cut(wanted)
    queries = {
        f"{which}_query": run.queries.ask(Spec(filters=Filters(cut=CutFilter(**wanted.model_dump(), which=which))))[0]
        for which in ("come", "go")
    }
    return {
        "stage": wanted.stage,
        "seen": len(found.stays),
        "unscored": found.seen.unscored,
        "stays": int(found.stays.sum()),
        "goes": int((~found.stays).sum()),
        "come": len(found.come),
        "go": len(found.go),
        "go_kept": int(run.index.column("kept")[found.go].sum()),
        "classes": _per_class(run, found),
        **queries,
        "refill": refill(run.index, run.filtering, found),
        "notes": _notes(found),
        "seconds": round(monotonic() - began, 4),
    }


def _notes(cut: Cut) -> list[str]:
    """What the numbers do not say."""
    return [*([PEOPLE.format(cut.others)] if cut.others else ()), *([LATER] if len(cut.come) else ())]


def _per_class(run: OpenRun, cut: Cut) -> list[dict[str, Any]]:
    """What the cut does to each class, as its images are filed."""
    filed, kept = run.index.column("filed"), run.index.column("kept")
    size = len(run.index.values["label"])
    sets = {
        "stays": cut.seen.rows[cut.stays],
        "was": cut.seen.rows[cut.seen.was],
        "come": cut.come,
        "go": cut.go,
        "go_kept": cut.go[kept[cut.go]],
    }
    counted = {name: np.bincount(filed[rows] % (size + 1), minlength=size + 1).tolist() for name, rows in sets.items()}
    found = [
        {"label": label, **{name: each[place] for name, each in counted.items()}}
        for place, label in enumerate([*run.index.values["label"], None])
    ]
    return [row for row in found if row["stays"] or row["was"]]


def upload(asked: Asked) -> Mapping[str, Any]:
    """A picture to search by."""
    if not asked.body:
        raise bad_request("the body is to be the bytes of a picture")
    try:
        images.inspect(asked.body)
    except BadImage as error:
        raise bad_request(f"that is no picture: {error.message}") from error
    return {"image": asked.run.upload(asked.body)}


ROUTES: list[tuple[str, str, Handler]] = [
    ("POST", "/api/query", query),
    ("POST", "/api/lasso", lasso),
    ("GET", "/api/query/{query}", again),
    ("GET", "/api/query/{query}/rows", rows),
    ("GET", "/api/query/{query}/index.i32", index),
    ("GET", "/api/query/{query}/position", position),
    ("GET", "/api/query/{query}/facets", counts),
    ("GET", "/api/query/{query}/histogram", scores),
    ("GET", "/api/cut", cut_of),
    ("POST", "/api/cut", cut),
    ("POST", "/api/upload", upload),
]
