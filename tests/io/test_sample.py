"""The sample data sets as sources: equal to what the command writes."""

from __future__ import annotations

import pytest

from augforge.errors import BadImage, SourceError
from augforge.io import open_source
from augforge.io import sample_sets as samples


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_source_equals_the_folder_that_is_written(tmp_path, split):
    samples.write("digits", tmp_path / "digits", split)
    folder, sample = open_source("folder", str(tmp_path / "digits")), open_source("sample", "digits", split=split)
    assert sample.classes() == folder.classes()
    written = {entry.locator: entry.label for entry in folder.entries()}
    assert {entry.locator: entry.label for entry in sample.entries()} == written
    assert all(sample.read(locator) == folder.read(locator) for locator in written)
    assert {entry.split for entry in sample.entries()} == {split}
    assert len({entry.stamp for entry in sample.entries()}) > 0.9 * len(written)


def test_unknown_names_are_refused():
    with pytest.raises(SourceError, match="no sample data set called 'digit'") as caught:
        open_source("sample", "digit")
    assert caught.value.hint == "did you mean 'digits'?"
    with pytest.raises(SourceError, match="no split 'validation'"):
        open_source("sample", "digits", split="val")
    with pytest.raises(BadImage):
        open_source("sample", "digits").read("0/none.png")
