"""A run as the server has it open: its columns, and what is worked out of them when it is first asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from augforge.data.images import digest
from augforge.engine.beside import beside
from augforge.errors import AugforgeError, ModelError, StoreError
from augforge.recipe import Recipe, load_recipe
from augforge.report.pictures import Pictures, sources_named_in
from augforge.view.build import cache_of
from augforge.view.compared import Compared
from augforge.view.cut import Cut, Filtering
from augforge.view.embedded import Embedded, embedded
from augforge.view.groups import Groups, groups_of
from augforge.view.index import Index
from augforge.view.plane import Plane
from augforge.view.query import Queries
from augforge.view.refusals import bad_request, not_found
from augforge.view.reviewed import Reviewed
from augforge.view.spec import CutAsked, Like
from augforge.view.thumbs import Thumbs
from augforge.view.tower import Tower

PCA = "pca"
UPLOADED_BYTES = 64_000_000
"""Uploaded pictures that are remembered, in bytes; the last ones."""

T = TypeVar("T")


class OpenRun:
    """One revision of the run in `folder`, open.

    Args:
        folder: the run folder.
        review: the file of decisions.
        who: who decides.
        named: the recipe, if the user has named it: its sources are read though they are not on this machine.

    Raises:
        StoreError: there is no ledger, or it cannot be read.
    """

    def __init__(self, folder: Path, review: Path, who: str, named: Path | None = None) -> None:
        self.folder, self._named = folder, named
        self.index = Index(folder)
        self.notes: list[str] = []
        self.recipe = self._recipe()
        self.reviewed = Reviewed(self.index, review, who)
        self.queries = Queries(self)
        pictures = Pictures(folder, self.recipe, sources_named_in(named))
        self.thumbs = Thumbs(self.index, pictures, cache_of(folder) / "thumbs")
        self.other: OpenRun | None = None
        self._made: dict[str, Any] = {}
        self._lock, self._locks = RLock(), dict[str, RLock]()
        self._uploads: OrderedDict[str, bytes] = OrderedDict()

    def _recipe(self) -> Recipe | None:
        try:
            return load_recipe(self.folder / "recipe.yaml")
        except AugforgeError as error:
            self.notes.append(
                f"The recipe cannot be used, so that no source and no embedding is found: {error.message}"
            )
            return None

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.recipe.name if self.recipe else self.folder.resolve().name

    def row(self, identity: str) -> int:
        """The row of the sample whose id begins so.

        Raises:
            Refusal: none or more than one does.
        """
        rows = self.index.starting_with(identity)
        if not len(rows):
            raise not_found(f"no sample of this run has an id that begins with {identity[:80]!r}")
        if len(rows) > 1:
            raise bad_request(f"{len(rows):,} ids begin with {identity!r}", "give more digits")
        return int(rows[0])

    @property
    def embedded(self) -> Embedded | None:
        """The stored embeddings; None where there are none."""
        return self._once("embedded", self._embedded)

    def _embedded(self) -> Embedded | None:
        return None if self.recipe is None else embedded(self.index, self.recipe, cache_of(self.folder))

    def plane(self, name: str = PCA) -> Plane:
        """The map called `name`.

        Raises:
            Refusal: there is none.
        """
        found = self.maps.get(name)
        if found is None:
            raise not_found(f"there is no map {name[:80]!r}", "it takes the stored embeddings of three images or more")
        return found

    @property
    def maps(self) -> dict[str, Plane]:
        """The maps that there are."""
        plane = self._once("plane", lambda: None if self.embedded is None else self.embedded.plane())
        return {} if plane is None else {PCA: plane}

    @property
    def groups(self) -> Groups:
        """The groups of near-duplicates."""
        return self._once("groups", lambda: groups_of(self.index))

    @property
    def filtering(self) -> Filtering:
        """The filters, to be decided again.

        Raises:
            StoreError: the recipe cannot be used.
        """
        if self.recipe is None:
            raise StoreError(f"{self.folder / 'recipe.yaml'} cannot be used", "run the recipe again")
        recipe, place = self.recipe, beside(self.folder, self._named)
        return self._once("filtering", lambda: Filtering(self.index, recipe, place, self.reviewed))

    def cut(self, asked: CutAsked) -> Cut:
        """A filter decided again; the last one is remembered until people decide more. Errors as `Filtering.cut`."""
        key = f"cut {asked.stage} {sorted(asked.options.items())} {self.filtering.people.stamp()}"
        last: tuple[str, Cut] | None = self._made.get("cut")
        if last is None or last[0] != key:
            last = self._made["cut"] = key, self.filtering.cut(asked)
        return last[1]

    @property
    def compared(self) -> Compared:
        """This run beside the other one.

        Raises:
            Refusal: there is no other one.
        """
        other = self.other
        if other is None:
            raise not_found("there is no other run to compare with", "start with --compare DIR")
        return self._once("compared", lambda: Compared(self.index, other.index))

    @property
    def tower(self) -> Tower:
        """The model that embeds what is searched for."""
        found = self.embedded
        if found is None:
            raise bad_request("this run has no stored embeddings to search", "they come with a stage that embeds")
        return self._once("tower", lambda: Tower(found.name, found.text_task or found.task))

    def vector_of(self, like: Like) -> NDArray[np.float32]:
        """(d,) the vector that the nearest are looked for of.

        Raises:
            Refusal: the sample has no embedding, or the picture was never uploaded.
            ModelError: the model cannot be had, or embeds no texts.
        """
        if like.id is not None:
            found = None if self.embedded is None else self.embedded.of(self.row(like.id))
            if found is None:
                raise bad_request(f"there is no stored embedding of {like.id!r}", "search by another sample")
            return found
        if like.text is not None:
            if why := self.why_no_text():
                raise bad_request(f"this run cannot be searched by text: {why}", "search by an example image")
            return self._fitting(self.tower.text(like.text))
        with self._lock:
            data = self._uploads.get(str(like.image))
        if data is None:
            raise not_found("that picture is not there any more", "upload it again")
        return self._fitting(self.tower.picture(data))

    def _fitting(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """The vector, if the stored ones are as long."""
        width = 0 if self.embedded is None else self.embedded.reader.shape[1]
        if len(vector) != width:
            raise ModelError(f"the model's vectors have {len(vector)} numbers, the stored ones {width}", "run it again")
        return vector

    def why_no_text(self) -> str:
        """Why the stored embeddings cannot be searched by text; "" where they can."""
        if self.embedded is None:
            return "it has stored no embeddings"
        name = self.embedded.name
        return "" if self.embedded.text_task else f"{name!r}, which made its embeddings, embeds no texts"

    def upload(self, data: bytes) -> str:
        """Remember a picture to search by; the name by which it is found."""
        name = digest(data)[:20]
        with self._lock:
            self._uploads[name] = data
            self._uploads.move_to_end(name)
            while sum(map(len, self._uploads.values())) > UPLOADED_BYTES:
                self._uploads.popitem(last=False)
        return name

    def close(self) -> None:
        """End what runs beside the server for it."""
        with self._lock:
            if isinstance(tower := self._made.get("tower"), Tower):
                tower.close()

    def _once(self, name: str, make: Callable[[], T]) -> T:
        with self._lock:
            lock = self._locks.setdefault(name, RLock())
        with lock:  # one that takes long holds up only those who want it
            if name not in self._made:
                self._made[name] = make()
            found: T = self._made[name]
            return found
