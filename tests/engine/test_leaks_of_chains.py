"""No chain of runs puts the parent of a training image into an evaluation split without a word."""

from __future__ import annotations

import numpy as np
import pytest

from augforge.data.pool import Pool, Pools
from augforge.data.sample import Sample
from augforge.engine.run import run
from augforge.errors import RecipeError
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.reproduce.remake import Archive
from augforge.reproduce.verify import _leaked, verify
from tests.conftest import write_images
from tests.test_laws import rows


@pytest.fixture
def made(tmp_path):
    source = SourceSpec("folder", str(write_images(tmp_path / "set", {"cat": 4, "dog": 4})))
    stage = build_stage("generate", "randaugment", {"per-class": 2})
    run(Recipe("made", 1, (source,), (stage,)), tmp_path / "made")
    return tmp_path / "made"


def test_a_split_after_images_were_made_in_another_run_is_refused(made, tmp_path):
    split = build_stage("split", "near-duplicates", {"test": 0.3})
    with pytest.raises(RecipeError, match="holds 4 generated images"):
        run(Recipe("split", 1, (SourceSpec("run", str(made)),), (split,)), tmp_path / "split")


def test_verify_finds_training_images_made_of_test_images(made):
    assert not verify(made).findings
    archive = Archive(made)
    parents = {parent for row in rows(made).values() for parent in row["parents"] or ()}
    ids = archive.ledger.column("id")
    places = [place for place, identity in enumerate(ids) if identity in parents]
    archive.ledger.resplit(np.array(places), ["test"] * len(places))
    assert _leaked(archive) == 4


def test_the_order_of_sources_does_not_decide_the_split(tmp_path):
    one = SourceSpec("folder", str(write_images(tmp_path / "one", {"a": 3})))
    two = SourceSpec("folder", str(write_images(tmp_path / "two" / "train", {"b": 3}).parent))
    stage = build_stage("generate", "randaugment", {"per-class": 3})
    found = []
    for name, sources in (("x", (one, two)), ("y", (two, one))):
        run(Recipe("order", 1, sources, (stage,)), tmp_path / name)
        found.append({identity: row["split"] for identity, row in rows(tmp_path / name).items()})
    assert found[0] == found[1] and set(found[0].values()) == {None, "train"}


def test_a_number_sign_in_a_path_makes_no_video():
    def still(source: str, number: int) -> Sample:
        return Sample(f"{number:020x}", "C#", source=source, ref=f"0:{source}", digest=str(number), width=8, height=8)

    stills = [still(f"folder hs: C#/{n}.png", n) for n in range(4)]
    frames = [still(f"video v: walk.mp4#00000{n}", 9 + n) for n in range(3)]
    pools = Pools({"C#": Pool([*stills, *frames])})
    assert list(pools.videos) == ["video v: walk.mp4"] and pools.around(stills[1], 3) == [stills[1]]
    assert pools.around(frames[1], 3) == frames
