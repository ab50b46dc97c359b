"""dataset/ of a run as one `Dataset`, whether it lies there as one or as a `DatasetDict` of its splits."""

from __future__ import annotations

from pathlib import Path

from datasets import Dataset, DatasetDict, concatenate_datasets, load_from_disk


def saved(run_folder: Path) -> Dataset:
    """All rows, split by split."""
    found = load_from_disk(str(run_folder / "dataset"))
    return concatenate_datasets(list(found.values())) if isinstance(found, DatasetDict) else found
