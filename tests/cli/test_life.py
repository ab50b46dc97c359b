"""What the first line of `augforge why` calls an image."""

from __future__ import annotations

import pytest

from augforge.cli.render.life import _headline

CAPTION, LABELS = {"caption": "a dog"}, {"labels": ["cat", "dog"]}


@pytest.mark.parametrize(
    ("label", "annotations", "said"),
    [
        ("cat", {}, "real 'cat', kept"),
        (None, {}, "real, unlabelled, kept"),
        (None, CAPTION, "real, unlabelled, kept"),
        (None, LABELS, "real, kept"),  # a line of its own has them
    ],
)
def test_an_image_without_a_label_is_called_so(label, annotations, said):
    row = {"id": "ab", "origin": "real", "label": label, "annotations": annotations, "kept": True}
    assert _headline(row) == f"[bold]ab[/bold] {said}"
