"""What a query may ask, as JSON that is checked before anything is looked at."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from augforge.view.refusals import bad_request

LONGEST = 1000
"""Letters of a text that is searched for."""
MOST_IDS = 100_000
MOST_POINTS = 10_000
"""Corners of a lasso."""

Text = Annotated[str, Field(max_length=LONGEST)]
Names = Annotated[list[Text], Field(max_length=10_000)]
Classes = Annotated[list[Text | None], Field(max_length=100_000)]
Point = tuple[FiniteFloat, FiniteFloat]
M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """Nothing is taken that has no name here."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Between(Strict):
    """Scores from `min` to `max`, and those without a score only with `missing`."""

    min: FiniteFloat | None = None
    max: FiniteFloat | None = None
    missing: bool = False


class Lasso(Strict):
    """The inside of a polygon on a map, by the even-odd rule."""

    map: str = "pca"
    polygon: Annotated[list[Point], Field(min_length=3, max_length=MOST_POINTS)]


class CutAsked(Strict):
    """A filter with other options: kebab-case, as in a recipe."""

    stage: Text
    options: dict[str, float | int | bool | str | None] = Field(default_factory=dict, max_length=50)


class CutFilter(CutAsked):
    """Those that would come back, or go, with other options of a filter."""

    which: Literal["come", "go"]


class Filters(Strict):
    """What each row must be; every one that is given narrows."""

    label: Classes | None = None
    origin: Names | None = None
    stage: Names | None = None
    by: Classes | None = None
    reason: Classes | None = None
    split: Classes | None = None
    kept: bool | None = None
    outcome: Names | None = None
    hidden: list[Literal[0, 1, 2]] | None = None
    scores: Annotated[dict[str, Between], Field(max_length=200)] | None = None
    has: Names | None = None
    without: Names | None = None
    verdict: list[Literal["keep", "drop", "relabel", "conflict", "none"]] | None = None
    reviewed: bool | None = None
    marked: bool | None = None
    noted: bool | None = None
    who: Names | None = None
    ids: Annotated[list[Text], Field(max_length=MOST_IDS)] | None = None
    lasso: Lasso | None = None
    duplicates: bool | None = None
    children: Text | None = None
    parents: Text | None = None
    compare: list[Literal["only-here", "kept-here", "kept-there", "changed", "relabelled"]] | None = None
    cut: CutFilter | None = None


class Like(Strict):
    """What the nearest are looked for of: a text, a sample, or a picture that was uploaded."""

    text: Text | None = None
    id: Text | None = None
    image: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Like:
        if sum(given is not None for given in (self.text, self.id, self.image)) != 1:
            raise ValueError("give one of text, id and image")
        return self


class Sort(Strict):
    """The order of the rows; of equal ones the first in the ledger comes first."""

    by: Text = "ledger"
    descending: bool = False
    seed: int = 0


class Spec(Strict):
    """A query."""

    filters: Filters = Filters()
    search: Text = ""
    like: Like | None = None
    top: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    sort: Sort | None = None

    def name(self, revision: str) -> str:
        """The id of the query: the same for the same question about the same ledger."""
        text = json.dumps([revision, self.plain()], sort_keys=True)
        return f"q-{hashlib.sha256(text.encode()).hexdigest()[:20]}"

    def plain(self) -> dict[str, Any]:
        """As JSON, without what is not given."""
        return self.model_dump(exclude_none=True)


def parsed(model: type[M], plain: Any) -> M:
    """`plain` as what it should be.

    Raises:
        Refusal: it is not.
    """
    try:
        return model.model_validate(plain)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise bad_request(f"{place}: {first['msg']}" if place else str(first["msg"])) from None
