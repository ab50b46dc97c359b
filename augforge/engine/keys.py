"""What a whole result depends on: if that is unchanged, there is nothing to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from augforge import __version__
from augforge.data.files import digest_of
from augforge.data.ids import key
from augforge.data.ledger import CHUNK, Ledger
from augforge.data.pictures import identity_of
from augforge.data.record import FORMAT
from augforge.engine.pixels import Pixels
from augforge.engine.runners.references import references_key
from augforge.engine.runners.select import columns_key
from augforge.engine.runners.train import file_digests
from augforge.io import Source
from augforge.models import find_model, model_key
from augforge.recipe import Recipe
from augforge.review.follow import review_digests
from augforge.stages.filters.duplicates import Duplicates
from augforge.stages.prompts import templates_file
from augforge.stages.selector import Selector
from augforge.stages.selectors.similar_to import SimilarTo
from augforge.stages.trainer import Trainer


def listing_key(recipe: Recipe, sources: Sequence[Source], limit: int | None) -> str:
    """What a run depends on, as far as a listing of the sources tells: if unchanged, not even a ledger is built."""
    return key(*_code_and_models(recipe), [source.fingerprint() for source in sources], limit)


def run_key(recipe: Recipe, ledger: Ledger, pixels: Pixels) -> str:
    """What the whole result depends on: if it is unchanged, there is nothing to do."""
    rows = ([*own, identity_of(shown)] for *own, shown in ledger.each(("id", "digest", "ref", "pictures")))
    carried = iter([_each(ledger.kept), _each(ledger.weight)])
    columns = [columns_key(stage, ledger, pixels) for stage in recipe.stages if isinstance(stage, Selector)]
    return key(*_code_and_models(recipe), columns, rows, carried, ledger.classes)


def _each(values: NDArray[Any]) -> Iterator[Any]:
    """The values (n,) one by one."""
    for start in range(0, len(values), CHUNK):
        yield from values[start : start + CHUNK].tolist()


def laid_out(of: str, flat: bool) -> str:
    """The key of a result with a dataset/ that is `flat`; that of one with its splits is the key itself."""
    return key("flat", of) if flat else of


def _code_and_models(recipe: Recipe) -> list[Any]:
    """What a result depends on beside its sources. Models that the recipe trains follow from the rest."""
    trained = {stage.called for stage in recipe.stages if isinstance(stage, Trainer)}
    named = [pair for stage in recipe.stages for pair in stage.models()]
    models = [model_key(find_model(name, task)) for name, task in named if name not in trained]
    versions = [[stage.name, stage.version] for stage in recipe.stages]
    return [__version__, FORMAT, recipe.plain(), models, _files(recipe), versions]


def _files(recipe: Recipe) -> list[Any]:
    """Digests of the files that options name."""
    files: list[Any] = [file_digests(stage) for stage in recipe.stages if isinstance(stage, Trainer)]
    files += [digest_of(Path(named)) for stage in recipe.stages if (named := templates_file(stage)) is not None]
    files += [references_key(stage.against) for stage in recipe.stages if isinstance(stage, Duplicates)]
    files += [references_key(stage.source) for stage in recipe.stages if isinstance(stage, SimilarTo)]
    return [*files, *review_digests(recipe.stages, recipe.folder).items()]
