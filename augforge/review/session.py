"""A person looks at one image after the other and decides: what a review in a terminal does, whatever it looks like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from augforge.review.doubt import Doubt
from augforge.review.lines import DECISIVE, Line, now_utc
from augforge.review.log import append, read_review
from augforge.review.standing import standing


class Session:
    """The images that `who` still has to decide about, of a sample, and the file that what is decided goes to.

    Each decision is in the file before the next image is shown, so a session that ends in whatever way goes on where
    it stopped.

    Args:
        file: the review file.
        who: who decides.
        sample: the images to look at, in order; those about which `who` has decided already are left out.

    Raises:
        StoreError: the file is damaged.
    """

    def __init__(self, file: Path, who: str, sample: Sequence[Doubt]) -> None:
        self.file, self.who, self.total = file, who, len(sample)
        stands = standing(read_review(file)).current({each.sample: each.digest for each in sample})
        mine = {i for i in stands.by_sample for line in stands.verdicts(i) if line.who == who}
        self._left = [each for each in sample if each.sample not in mine]
        self._written: list[tuple[Doubt, Line]] = []

    @property
    def current(self) -> Doubt | None:
        """The image to look at; None where all are done."""
        return self._left[0] if self._left else None

    @property
    def left(self) -> list[Doubt]:
        """The images that are still to be looked at, the current one first."""
        return list(self._left)

    @property
    def done(self) -> int:
        """Of how many images of the sample that is decided or they were skipped."""
        return self.total - len(self._left)

    @property
    def written(self) -> int:
        """How many lines this session wrote that it did not take back."""
        return len(self._written)

    def said(self) -> list[Line]:
        """What stands in the file about the current image, by whomever."""
        if self.current is None:
            return []
        now = standing(read_review(self.file)).current({self.current.sample: self.current.digest})
        return list(now.by_sample.get(self.current.sample, ()))

    def decide(self, verdict: str, label: str | None = None, text: str = "") -> None:
        """Write a verdict about the current image; after a keep, drop or relabel comes the next one.

        Raises:
            RecipeError: it cannot be a line.
            StoreError: it cannot be written.
        """
        seen = self._left[0]
        line = Line(self.who, now_utc(), seen.sample, seen.digest, verdict, label, text)
        append(self.file, [line])
        self._written.append((seen, line))
        if verdict in DECISIVE:
            self._left.pop(0)

    def skip(self) -> None:
        """Go on to the next image without a word; it comes again in the next session."""
        self._left.pop(0)

    def undo(self) -> Line | None:
        """Take back the last line of this session and go back to its image; None where there is none."""
        if not self._written:
            return None
        seen, line = self._written.pop()
        append(self.file, [Line(self.who, now_utc(), seen.sample, seen.digest, "undo")])
        if self.current != seen:
            self._left.insert(0, seen)
        return line
