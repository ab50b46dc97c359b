"""Which projection a report shows: PCA always, UMAP where it was asked for, and never one in place of the other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from augforge import optional
from augforge.errors import AugforgeError
from augforge.report import collect as collecting
from augforge.report import layout, write_report
from augforge.report.columns import overview
from augforge.report.figures import _curve, figures
from augforge.report.layout import LEAST, Umap, umap_of
from tests.report.runs import CERTIFICATE


def groups(each: int, dimensions: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Three far groups of unit vectors, and which of them each vector is of."""
    random = np.random.default_rng(0)
    of = np.repeat(np.arange(3), each)
    vectors = np.eye(3, dimensions)[of] * 4 + random.normal(size=(3 * each, dimensions)) * 0.3
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), of


def test_umap_is_asked_for_and_not_installed_is_an_error_that_says_what_to_install(run, tmp_path, monkeypatch):
    monkeypatch.setattr(optional, "installed", lambda package: package != "umap")
    with pytest.raises(AugforgeError, match="umap") as error:
        write_report(run, tmp_path / "r.html", umap=True)
    assert "augforge[umap]" in error.value.hint
    assert not (tmp_path / "r.html").exists()
    assert write_report(run, tmp_path / "r.html").samples == 32  # without it nothing is missing


def test_the_page_has_what_was_asked_for(run, monkeypatch):
    told = overview(collecting.collect(run))["map"]
    assert told["umap"] is None and told["without_umap"] == "it was not asked for (augforge report --umap)"
    monkeypatch.setattr(
        layout, "umap_of", lambda vectors, digests: Umap(np.array([0, 2]), np.array([[0, 0], [1, 2.0]]))
    )
    monkeypatch.setattr(layout, "LEAST", 2)
    told = overview(collecting.collect(run, umap=True))["map"]
    assert told["umap"]["rows"] == [told["pca"]["rows"][0], told["pca"]["rows"][2]]
    assert (told["umap"]["x"], told["umap"]["y"]) == ([0, 5000], [0, 10000])
    assert {"embedding-map", "embedding-map-umap"} <= set(figures(collecting.collect(run, umap=True)))


def test_the_figure_of_a_selection_is_the_difference_to_random(run):
    from matplotlib.figure import Figure

    panel = Figure().subplots()
    _curve(panel, "4-select", CERTIFICATE)
    drawn = {str(line.get_label()): list(line.get_ydata()) for line in panel.get_lines()}
    assert drawn == {"chosen": [1.0, 2.0, 2.0], "random": [0.0, 0.0, 0.0], "no choice is over": [3.0]}


def test_too_few_images_for_umap_is_said(run, tmp_path, monkeypatch):
    monkeypatch.setattr(optional, "installed", lambda package: True)
    monkeypatch.setattr(layout, "LEAST", 1_000)
    html = Path(write_report(run, tmp_path / "r.html", umap=True).path).read_text()
    told = json.loads(re.search(r'id="data-overview">(.*?)</script>', html)[1])
    assert told["map"]["umap"] is None and any("no map by UMAP" in note for note in told["notes"])
    assert told["map"]["without_umap"] == "it needs 1,000 images or more"


@pytest.mark.slow
def test_umap_keeps_neighbours_together_and_is_the_same_every_time():
    pytest.importorskip("umap", reason="umap-learn is not installed (the extra `umap`)")
    vectors, of = groups(LEAST)
    digests = [f"{n:064x}" for n in range(len(vectors))]
    found = umap_of(vectors, digests)
    assert found.chosen.tolist() == list(range(len(vectors)))
    apart = np.linalg.norm(found.places[:, None] - found.places[None], axis=2) + np.eye(len(of)) * 1e9
    assert (of[apart.argmin(axis=1)] == of).all()
    assert np.array_equal(found.places, umap_of(vectors, digests).places)


@pytest.mark.slow
def test_of_many_images_a_hash_of_the_digest_chooses(monkeypatch):
    pytest.importorskip("umap", reason="umap-learn is not installed (the extra `umap`)")
    monkeypatch.setattr(layout, "MOST", 40)
    vectors, _ = groups(20)
    digests = [f"{n:064x}" for n in range(len(vectors))]
    chosen = {digests[place] for place in umap_of(vectors, digests).chosen}
    other = umap_of(vectors[::-1].copy(), digests[::-1])
    assert len(chosen) == 40 and {digests[::-1][place] for place in other.chosen} == chosen
