"""A run folder, and everything that can be asked of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from augforge.api.contents import RunContents
from augforge.api.images import Regenerated, RunImage, RunImages
from augforge.api.shown import Rows, progress_of
from augforge.data.places import folder_to_read, on_disk
from augforge.errors import RecipeError, did_you_mean
from augforge.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from augforge.data.ledger import Ledger
    from augforge.evaluate.settings import Settings
    from augforge.provenance.diff import Diff
    from augforge.provenance.lineage import Lineage
    from augforge.publish.export import Exported
    from augforge.report import Written
    from augforge.report.thresholds import Measure
    from augforge.reproduce.verify import Verdict
    from augforge.view.serve import Viewed

StrPath = str | os.PathLike[str]


class Run(RunContents):
    """A run folder: what `augforge run` or `Recipe.run` wrote. Nothing is read before it is asked for.

    Every property reads the folder anew, so that it is right after the next run too; keep what you use often.

    Args:
        folder: the run folder.
        summary: what the run that has just ended says of itself.

    Raises:
        StoreError: there is no ledger in it, or it was written in another format.
    """

    def why(self, identity: str) -> Lineage:
        """The life of the image whose id begins with `identity`: its row, and those of its parents back to files.

        Raises:
            StoreError: no image or more than one has such an id.
        """
        from augforge.provenance.lineage import lineage_of

        return lineage_of(self.folder, identity)

    def images(self, class_: str | None = None, *, kept: bool | None = True, origin: str | None = None) -> RunImages:
        """The images of a class, each with its pixels (`.image`, a PIL image), its id, and why it was dropped.

        Args:
            class_: the class, "" for images without one, None for all.
            kept: True for those in the dataset, False for those that were dropped, None for both.
            origin: only the "real" or the "synthetic" ones.

        Raises:
            RecipeError: there is no such class or origin.
        """
        from augforge.report.withheld import withheld
        from augforge.reproduce.remake import Archive

        if class_ and class_ not in (known := self.classes):
            raise RecipeError(f"there is no class {class_!r} in {self.folder}", did_you_mean(class_, known))
        if origin not in (None, "real", "synthetic"):
            raise RecipeError(f"there is no origin {origin!r}", "give real or synthetic")
        archive = Archive(self.folder)
        chosen = archive.ledger.samples(_chosen(archive.ledger, class_, kept, origin))
        rows = self.ledger
        flagged, unjudged = withheld(rows)
        hidden = [i for i, hide in zip(rows.column("id").to_pylist(), flagged | unjudged, strict=True) if hide]
        return RunImages([RunImage(sample, archive) for sample in chosen], hidden)

    def regenerate(self, identity: str, *, device: str = "auto") -> Regenerated:
        """Make the synthetic image whose id begins with `identity` again from nothing but its provenance.

        Raises:
            AugforgeError: no such image, it is real, or its model or parents are not to be had.
        """
        from augforge.models.devices import check_device
        from augforge.reproduce.remake import Archive, remake

        check_device(device)
        archive = Archive(self.folder)
        (sample,) = archive.ledger.by_id([str(self.why(identity).row["id"])]).values()
        (made,) = remake(archive, [sample], device)
        return Regenerated(made)

    def thresholds(self, measures: Sequence[str] | None = None, *, minimums: Sequence[float] = ()) -> Rows[Measure]:
        """The histogram of every score, and what each cut would keep.

        Args:
            measures: only these; all if None.
            minimums: values of `min` to try, too.
        """
        from augforge.report.thresholds import thresholds

        return Rows(thresholds(self.folder, names=measures, minimums=minimums), _measure_columns)

    def report(
        self,
        out: StrPath | None = None,
        *,
        png: StrPath | None = None,
        megabytes: float = 40.0,
        replace: bool = False,
        umap: bool = False,
        progress: bool | Progress = False,
    ) -> Written:
        """Write one HTML file that shows what the run did and why: `out`, or report.html in the run folder.

        Args:
            out: the HTML file.
            png: a folder for the figures as PNG.
            megabytes: how large the file may be.
            replace: write over a file that is no report.
            umap: show the images by UMAP, too, beside their principal components; it needs `augforge[umap]`.
            progress: True for lines on stderr that say how far it is.
        """
        from augforge.report.write import check_free, place_of, write_report

        path = place_of(self.folder, None if out is None else Path(out))
        check_free(path, replace)
        return write_report(
            self.folder,
            path,
            png=None if png is None else Path(png),
            megabytes=megabytes,
            umap=umap,
            progress=progress_of(progress),
        )

    def view(
        self,
        *,
        port: int | None = None,
        browser: bool = False,
        read_only: bool = False,
        compare: StrPath | Run | None = None,
        review: StrPath | None = None,
        who: str | None = None,
    ) -> Viewed:
        """Serve the run to the browser of this machine until `.close()`; in a notebook it shows itself in a frame.

        Args:
            port: the port, 0 for any free one; else 8421, or the next free one.
            browser: open the page in the browser.
            read_only: let nothing be decided, changed or run.
            compare: another run, to compare with.
            review: the file of decisions; review.jsonl beside the recipe if not given.
            who: whose decisions they are; the name that git knows if not given.
        """
        from augforge.view.serve import Viewed, settings

        second = None if compare is None else folder_to_read(_source_text(compare))
        file = None if review is None else Path(review)
        options = settings(self.folder, read_only=read_only, compare=second, review=file, who=who)
        return Viewed(options, port).start(browser)

    def evaluate(
        self,
        test: StrPath | Run,
        *,
        test_split: str | None = None,
        on_shifts: StrPath | Run | None = None,
        device: str = "auto",
        store: StrPath | None = None,
        replace: bool = False,
        progress: bool | Progress = False,
        **settings: Any,
    ) -> Mapping[str, Any]:
        """Train on real images alone and on more, judge both by `test`, and say what the difference is.

        Args:
            test: a source of images that nothing was trained on, such as "data/test" or "sample:digits".
            test_split: this split of them; else their evaluation splits, if they have any.
            on_shifts: a source of shift sets to judge by, too.
            device: "auto", "cpu", "cuda", "cuda:N" or "mps".
            store: a folder in which runs share embeddings.
            replace: write over an evaluation with other settings or test images; else it is kept under another name.
            progress: True for lines on stderr that say how far it is.
            settings: as on the command line, such as `seeds=3, learner="probe"`; docs/evaluate.md has them all.

        Returns:
            What evaluation.json in the run folder holds; docs/evaluate.md has every field.

        Raises:
            AugforgeError: a setting is wrong, or an image to train on is in the test set.
        """
        from augforge.evaluate.evaluation import evaluate

        return evaluate(
            self.folder,
            _source_text(test),
            _settings(settings),
            test_split=test_split,
            shifts=None if on_shifts is None else _source_text(on_shifts),
            device=device,
            store=None if store is None else Path(store),
            replace=replace,
            progress=progress_of(progress),
        )

    def verify(
        self,
        sample: int = 0,
        *,
        device: str = "auto",
        progress: bool | Progress = False,
        engine: str = "local",
        workers: int | None = None,
    ) -> Verdict:
        """Check every digest and invariant; `.sound` if nothing is wrong.

        Args:
            sample: so many synthetic images are made again, too.
            device: where they are made: "auto", "cpu", "cuda", "cuda:N" or "mps".
            progress: True for lines on stderr that say how far it is.
            engine: "local" or "processes": what reads and hashes files and images.
            workers: how many processes; more than 1 with "local" are processes.
        """
        from augforge.engine.engines.choose import one_machine
        from augforge.reproduce.verify import verify

        if not isinstance(sample, Integral) or sample < 0:
            raise RecipeError(f"sample: {sample!r} is no number of images", "give 0 or more")
        reads = one_machine(engine, workers)
        return verify(self.folder, sample, device=device, progress=progress_of(progress), engine=reads)

    def diff(self, other: StrPath | Run) -> Diff:
        """Which rows were added, removed and changed from this run to `other`, by class and reason."""
        from augforge.provenance.diff import diff

        return diff(self.folder, other.folder if isinstance(other, Run) else Path(other))

    def export(
        self,
        to: str,
        out: StrPath,
        *,
        mark: bool = True,
        sign: bool = False,
        cert: StrPath | None = None,
        key: StrPath | None = None,
        private_sources: bool = False,
        license: str = "",
        url: str = "",
        creator: str = "",
        replace: bool = False,
        image_mode: str | None = None,
        size: int | None = None,
        repo: str = "",
        public: bool = False,
        workers: int | None = None,
        progress: bool | Progress = False,
    ) -> Exported:
        """Write the kept images with their provenance as others read them, resuming from what is in `out`.

        Args:
            to: "folder", "parquet", "webdataset", "coco", "yolo", "voc", "hf", "fiftyone", "label-studio", or "hub" to
                push it to the Hub.
            out: the folder to write; new, empty, or of an earlier export.
            mark: mark synthetic images as such, in XMP.
            sign: sign them with C2PA, too; needs `cert` and `key`, PEM files of the certificate chain and its key.
            cert: the certificate chain.
            key: its private key.
            private_sources: keep names of files and folders out of all that is written.
            license: of the data set, an SPDX id or a URL.
            url: where the data set will be found.
            creator: who publishes it.
            replace: write over an export of another run, or in another format.
            image_mode: "RGB" or "L" to make all images so, 8 bits, decoded as the stages saw them.
            size: make all images squares of so many px, cropped from the centre; RGB unless told otherwise.
            repo: "owner/name" of the dataset on the Hub, for "hub".
            public: everybody may see it there; else it is private.
            workers: threads that hash, decode and encode images.
            progress: True for lines on stderr that say how far it is.
        """
        from augforge.publish.export import Described, uniform_of
        from augforge.publish.hub import exported_or_pushed
        from augforge.publish.marks import marker_of

        marker = marker_of(mark, sign, None if cert is None else Path(cert), None if key is None else Path(key))
        done, _ = exported_or_pushed(
            self.folder,
            to,
            on_disk(out),
            repo,
            public,
            uniform=uniform_of(image_mode, size),
            marker=marker,
            private=private_sources,
            described=Described(license, url, creator),
            replace=replace,
            workers=workers,
            progress=progress_of(progress),
        )
        return done


def _chosen(ledger: Ledger, label: str | None, kept: bool | None, origin: str | None) -> NDArray[np.int64]:
    """The places of the samples of a class, outcome and origin, each None for any."""
    import numpy as np

    chosen = np.ones(len(ledger), dtype=bool) if kept is None else ledger.kept == kept
    for column, wanted in (("label", label), ("origin", origin)):
        if wanted is not None:
            chosen = chosen & np.array([(value or "") == wanted for value in ledger.column(column)], dtype=bool)
    return np.flatnonzero(chosen)


def _settings(given: Mapping[str, Any]) -> Settings:
    """Checked settings of an evaluation, named as in Python."""
    from augforge.evaluate.settings import Settings, settings_of
    from augforge.stages.stage import kebab

    for name in given:
        if name not in Settings.model_fields:
            raise RecipeError(f"evaluate has no setting {name!r}", did_you_mean(name, list(Settings.model_fields)))
    return settings_of({kebab(name): [value] if _alone(name, value) else value for name, value in given.items()})


def _alone(name: str, value: Any) -> bool:
    """Whether a single number is given where several could be."""
    return name == "shots" and isinstance(value, int)


def _source_text(source: StrPath | Run) -> str:
    return str(source.folder) if isinstance(source, Run) else os.fspath(source)


def _measure_columns(measure: Measure) -> dict[str, object]:
    """A row for the table of a measure: how its scores lie over all images."""
    every = measure.groups[0]
    spread = {f"{100 * share:g} %": value for share, value in every.quantiles.items() if share in (0, 0.5, 1)}
    better = "lower" if measure.lower_is_better else "higher"
    return {"measure": measure.name, "better": better, "images": every.count, "mean": every.mean, **spread}
