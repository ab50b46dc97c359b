"""Recipes as a notebook builds them, and everything that a recipe can be asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augforge import recipe as recipes
from augforge.api.given import StrPath, folder_of, limit_of, path_of, share_of
from augforge.api.run import Run
from augforge.api.shown import Rows, progress_of, text
from augforge.data.files import write_atomically
from augforge.errors import AugforgeError, RecipeError
from augforge.io import detect
from augforge.progress import Progress
from augforge.recipe.build import parse_stages
from augforge.recipe.recipe import UNNAMED
from augforge.recipe.source import parse_source, parse_sources
from augforge.stages.stage import Stage, kebab

if TYPE_CHECKING:
    from augforge.engine.plan import PlanRow
    from augforge.reproduce.rebuild import Rebuilt

OneSource = StrPath | Run | Mapping[str, str]
Source = OneSource | Sequence[OneSource]


class Recipe:
    """What to do: sources, then stages in order. It never changes, and runs as the same recipe in YAML does.

    Args:
        source: a text or path as on the command line ("sample:digits", "data/birds", "hub:owner/name"), a mapping as
            in YAML ({"folder": "data/birds", "masks": "data/masks"}), a `Run`, or a list of these.
        stages: mappings as in YAML ({"filter": "clip", "keep": 0.8}), or stages from `augforge.stage` or of the
            classes in `augforge.stages`.
        name: what the run is called; of a single stage the default is as on the command line, such as "filter-clip".
        seed: the seed of all random draws.
        licences: those that its models may have, such as ("apache-2.0", "openrail"); () allows all.

    Raises:
        RecipeError, SourceError: a source or stage that says nothing that can be understood, as in YAML. What does not
            go together is told by `check`, and by everything that runs or plans.
    """

    def __init__(
        self,
        source: Source,
        stages: Sequence[Mapping[str, Any] | Stage] = (),
        *,
        name: str | None = None,
        seed: int = 0,
        licences: Sequence[str] = (),
    ) -> None:
        if isinstance(stages, (str, Mapping)) or not isinstance(stages, Sequence):
            raise RecipeError("stages: it is a list", 'for example stages=[{"filter": "clip"}]')
        built = parse_stages([dict(entry) if isinstance(entry, Mapping) else entry for entry in stages])
        named = f"{built[0].verb}-{built[0].name}" if len(built) == 1 else UNNAMED
        self._recipe = recipes.Recipe(named if name is None else name, seed, sources_of(source), built, tuple(licences))

    @classmethod
    def load(cls, path: StrPath, *, seed: int | None = None) -> Recipe:
        """The recipe in a YAML file, checked; `seed` overrides its own."""
        return cls.of(recipes.load_recipe(Path(path), seed))

    @classmethod
    def of(cls, recipe: recipes.Recipe) -> Recipe:
        """A recipe that is built already."""
        built = cls.__new__(cls)
        built._recipe = recipe
        return built

    @property
    def name(self) -> str:
        """What the run is called."""
        return self._recipe.name

    @property
    def seed(self) -> int:
        """The seed of all random draws."""
        return self._recipe.seed

    @property
    def sources(self) -> list[dict[str, Any]]:
        """The sources, as in YAML."""
        return [source.plain() for source in self._recipe.sources]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages, with all their options."""
        return self._recipe.stages

    def yaml(self) -> str:
        """The recipe as YAML, with every default written out."""
        return self._recipe.yaml()

    def save(self, path: StrPath) -> Path:
        """Check the recipe, and write it as YAML, which `load` and `augforge run` read."""
        self.check()
        write_atomically(Path(path), self.yaml().encode())
        return Path(path)

    def check(self) -> Recipe:
        """The recipe itself, if it is right; no model is loaded.

        Raises:
            RecipeError: the options of a stage, the order of stages, a model or a name that cannot be; whatever would
                let a generator or trainer see what it must not. The messages are those for YAML.
        """
        recipes.check_recipe(self._recipe)
        return self

    def warnings(self) -> list[str]:
        """What is allowed and yet likely not meant, a line each, as `augforge check` prints it; no model is loaded.

        Raises:
            RecipeError: as `check`.
        """
        from augforge.recipe.advice import source_warnings_of, warnings_of

        recipe = self.check()._recipe
        return [*source_warnings_of(recipe), *warnings_of(recipe)]

    def plan(self, out: StrPath | None = None, *, limit: int | None = None, yes: bool = False) -> Rows[PlanRow]:
        """What a run into `out` would do: a row for the source and each stage; loads no model, reads no pixel.

        Args:
            out: the run folder, to see what can be reused.
            limit: as in `run`.
            yes: as in `run`.

        Raises:
            AugforgeError: as `check`, or a source that cannot be opened.
        """
        from augforge.engine.plan import plan_run

        return Rows(plan_run(self._recipe, path_of(out), limit_of(limit), yes=yes), _plan_columns)

    def run(
        self,
        out: StrPath,
        *,
        device: str = "auto",
        limit: int | None = None,
        max_bad: float = 0.1,
        store: StrPath | None = None,
        lock: StrPath | None = None,
        retry: str | None = None,
        replace: bool = False,
        allow_empty: bool = False,
        yes: bool = False,
        flat: bool = False,
        progress: bool | Progress = False,
        engine: str = "local",
        workers: int | None = None,
        address: str | None = None,
        gpus_per_worker: float | None = None,
        mixed: bool = False,
    ) -> Run:
        """Run into the folder `out`, resuming from what is there; a second run computes nothing.

        Args:
            out: the run folder; new, empty, or of an earlier run.
            device: "auto", "cpu", "cuda", "cuda:N" or "mps".
            limit: use only this many source images, chosen by a hash.
            max_bad: the share of unusable source images, in [0, 1], above which the run ends.
            store: a folder in which runs share embeddings; else what AUGFORGE_STORE names.
            lock: a file that gets a copy of the run's lock, such as the recipe's name with `.lock`.
            retry: "failed" does again what failed before.
            replace: throw away what another recipe left in `out`, which is refused otherwise.
            allow_empty: go on after a stage that leaves, makes or can judge no image; else EmptyResult.
            yes: insist on more new images than are made without asking.
            flat: write dataset/ as one `Dataset` even where there are splits, not as a `DatasetDict`.
            progress: True for lines on stderr that say how far it is.
            engine: "local", "processes" of this machine, "ray" for a cluster, or "slurm" for one task of an array job.
            workers: how many; None is as many as there is room for. More than 1 with "local" are processes.
            address: of "ray": "auto", "ray://HOST:PORT" or "HOST:PORT"; None starts Ray on this machine.
            gpus_per_worker: of "ray": GPUs of each worker that has a model to run, 0.5 for two on one; None is 1.
            mixed: of "ray": whether workers may have devices of different kinds.

        Raises:
            AugforgeError: as drawn in `augforge.errors`; what was computed is kept, and run again it goes on.
        """
        from augforge.engine.engines.choose import engine_of
        from augforge.engine.run import run

        summary = run(
            self._recipe,
            folder_of(out),
            device=device,
            limit=limit_of(limit),
            max_bad=share_of(max_bad),
            store=path_of(store),
            lock=path_of(lock),
            retry=retry,
            replace=replace,
            allow_empty=allow_empty,
            yes=yes,
            flat=flat,
            progress=progress_of(progress),
            engine=engine_of(engine, workers, address, gpus_per_worker, mixed),
        )
        return Run(out, summary=summary)

    def lock(self, path: StrPath, out: StrPath, **options: Any) -> Run:
        """Run into `out` and write the lock of the result to `path`, even over one that still describes it.

        `options` are those of `run`. The lock says what the result depends on and what it is; commit it.
        """
        from augforge.engine.finish import keep_lock

        done = self.run(out, **options)
        keep_lock(done.folder, Path(path), progress_of(options.get("progress", False)))
        return done

    def rebuild(
        self,
        lock: StrPath,
        out: StrPath,
        *,
        accept: bool = False,
        level: str = "identity",
        flips: float | None = None,
        from_scratch: bool = False,
        reference: StrPath | None = None,
        psnr: float | None = None,
        cosine: float | None = None,
        embedder: str = "builtin-clip",
        progress: bool | Progress = False,
        **options: Any,
    ) -> Rebuilt:
        """Run into `out` and say whether the result is the one that the file `lock` describes; else what drifted.

        Args:
            lock: a lock that `lock` or `augforge run` wrote.
            out: the run folder.
            accept: write the new lock over the old one if the result is another.
            level: "identity" for equal ids, sampled parameters and counts, "tolerance" for pixels that are alike,
            too, "bytes".
            flips: the share of samples, in [0, 1], whose outcome may differ; None is 0.02 where the lock was made on
            another machine or with other versions of libraries, else 0.
            from_scratch: reuse nothing of what is in `out`.
            reference: a run folder to compare pixels with, for "tolerance".
            psnr: how alike to `reference` in dB, instead of 1/255.
            cosine: the least cosine of embeddings, made by `embedder`, of images and those of `reference`.
            embedder: the model for `cosine`.
            progress: True for lines on stderr that say how far it is.
            options: those of `run` beside `limit`, `lock`, `retry` and `flat`.

        Raises:
            AugforgeError: as `run`; or the lock is missing or of another format.
        """
        from augforge.engine.engines.choose import engine_among
        from augforge.engine.finish import keep_lock
        from augforge.provenance.drift import check_level
        from augforge.reproduce.alike import Bounds
        from augforge.reproduce.rebuild import rebuild

        shown = progress_of(progress)
        found = rebuild(
            self._recipe,
            Path(lock),
            Path(out),
            level=check_level(level),
            flips=flips,
            from_scratch=from_scratch,
            reference=path_of(reference),
            bounds=Bounds(psnr, cosine, embedder),
            progress=shown,
            engine=engine_among(options),
            **options,
        )
        if accept and not found.same:
            keep_lock(Path(out), Path(lock), shown)
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self._recipe == other._recipe

    def __hash__(self) -> int:
        return hash(self.yaml())

    def __repr__(self) -> str:
        stages = ", ".join(f"{stage.verb} {stage.name}" for stage in self.stages) or "no stage"
        return f"<Recipe {self.name!r}, seed {self.seed}: {len(self.sources)} source(s), {stages}>"

    def _repr_html_(self) -> str:
        return f"<pre>{text(self.yaml())}</pre>"


def stage(verb: str, name: str, **options: Any) -> Stage:
    """The stage `verb: name` with `options`, such as `stage("filter", "clip", keep=0.8)`; shows all its options.

    Options are those of YAML, with `_` for `-`; `as` is given as `as_`.

    Raises:
        RecipeError, ModelError: no such stage, option or model, or options that do not go together.
    """
    try:
        return recipes.build_stage(verb, name, {kebab(key.rstrip("_")): value for key, value in options.items()})
    except AugforgeError as error:
        raise type(error)(f"{verb} {name}: {error.message}", error.hint) from error


def sources_of(source: Source) -> tuple[recipes.SourceSpec, ...]:
    """The sources that a text, path, mapping, run or a list of these names; AugforgeError if it names none."""
    given: Sequence[Any] = source if isinstance(source, (list, tuple)) else [source]
    return tuple(_source(number, one) for number, one in enumerate(given, start=1)) or parse_sources([])


def _source(number: int, source: Any) -> recipes.SourceSpec:
    if isinstance(source, Run):
        return recipes.SourceSpec("run", str(source.folder))
    if isinstance(source, (str, os.PathLike)):
        return recipes.SourceSpec(*detect(os.fspath(source)))
    return parse_source(number, dict(source) if isinstance(source, Mapping) else source)


def _plan_columns(row: PlanRow) -> dict[str, object]:
    most = "" if row.exact else "~"
    out = {"stage": row.stage, "in": row.rows_in, "out": f"{most}{row.rows_out:,}"}
    return {**out, "to compute": row.todo, "reused": row.reused}
