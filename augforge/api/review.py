"""What people decide about the images of a run, as `augforge review` writes it down."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from augforge.api.shown import Rows
from augforge.data.places import folder_to_read
from augforge.errors import RecipeError, StoreError

if TYPE_CHECKING:
    from augforge.review.doubt import Doubt
    from augforge.review.lines import Line
    from augforge.review.merge import Merged
    from augforge.review.standing import Conflict
    from augforge.review.suggest import Suggestion

StrPath = str | os.PathLike[str]


class Review:
    """The decisions about the images of a run, in a file that `filter: review` follows.

    Args:
        folder: the run folder.
        file: the review file; else review.jsonl beside the recipe.
        recipe: the recipe that it lies beside; else the one that the run was started with, or the present folder where
            that is in no file.
        who: who decides; else the name that git knows.
    """

    def __init__(
        self,
        folder: StrPath,
        *,
        file: StrPath | None = None,
        recipe: StrPath | None = None,
        who: str | None = None,
    ) -> None:
        from augforge.engine.beside import default_who, review_file

        self.folder = folder_to_read(folder)
        named, beside = (None if path is None else Path(path) for path in (file, recipe))
        self.file, self.who = review_file(self.folder, named, beside), who or default_who()

    @property
    def lines(self) -> list[Line]:
        """Every line of the file, in its order; [] where there is none. StoreError where a line is damaged."""
        from augforge.review.log import read_review

        return read_review(self.file)

    @property
    def conflicts(self) -> list[Conflict]:
        """The images about which people disagree."""
        from augforge.review.standing import standing

        return standing(self.lines).conflicts()

    def look(self, sample: int = 200, *, by: str = "doubt", seed: int = 0) -> Rows[Doubt]:
        """The images of a sample about which `who` has not decided yet, in the order in which to look at them.

        Args:
            sample: how many images in all.
            by: "doubt", the nearest to the cut of a filter first, or "random".
            seed: of the order.
        """
        from augforge.review.doubt import to_review
        from augforge.review.session import Session

        session = Session(self.file, self.who, to_review(self.folder, sample, by, seed))
        return Rows(session.left, _doubt_columns)

    def decide(self, identity: str, verdict: str, *, label: str | None = None, text: str = "") -> Line:
        """Write a verdict about the image whose id begins with `identity`.

        Args:
            identity: the first digits of an id.
            verdict: "keep", "drop", "relabel", "mark", "note" or "undo".
            label: the new label, of a relabel.
            text: why; what a note says; what a mark is called.

        Raises:
            StoreError: no image or more than one has such an id, or the file cannot be written.
            RecipeError: there is no such verdict, or it lacks its label or text.
        """
        from augforge.provenance.lineage import lineage_of
        from augforge.review.lines import Line, now_utc
        from augforge.review.log import append

        row = lineage_of(self.folder, identity).row
        if not row.get("digest"):
            raise StoreError(f"{row['id']} has no image that could have been looked at", "decide about another one")
        line = Line(self.who, now_utc(), row["id"], row["digest"], verdict, label, text)
        append(self.file, [line])
        return line

    def suggest(self, *, precision: float | None = None) -> Rows[Suggestion]:
        """A cut for each score filter of the run that suits what people decided; `.plain()` has its curve.

        Args:
            precision: the least precision, in (0, 1]; else the cut has the largest F1.
        """
        from augforge.review.suggest import suggest

        return Rows(suggest(self.folder, self.file, precision), _suggestion_columns)

    @staticmethod
    def merge(files: Sequence[StrPath], out: StrPath) -> Merged:
        """Make one review file of several, every line once and by time; `.conflicts` says where people disagree.

        Args:
            files: review files.
            out: the file to write, which may be one of them.

        Raises:
            StoreError: a file is missing or damaged, or `out` is there and is none of them.
        """
        from augforge.review.merge import merge

        if isinstance(files, (str, os.PathLike)):
            raise RecipeError("files: it is a list of files", 'for example ["ann.jsonl", "bob.jsonl"]')
        return merge([Path(file) for file in files], Path(out))


def _doubt_columns(doubt: Doubt) -> dict[str, object]:
    """A row of a table of images to look at."""
    score = {"measure": doubt.measure, "score": doubt.score, "cut": doubt.cut, "doubt": doubt.doubt}
    return {"id": doubt.sample[:10], "label": doubt.label, "kept": doubt.kept, **score}


def _suggestion_columns(found: Suggestion) -> dict[str, object]:
    """A row of a table of suggestions."""
    cut = found.suggested
    at = {"option": found.option, "at": None if cut is None else cut.at, "F1": None if cut is None else cut.f1}
    return {"stage": found.filter.title, "reviewed": found.reviewed, "F1 now": found.now.f1, **at, "more": found.more}
