"""--retry failed: only what failed is done again, and what was sound keeps its bytes."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from augforge.algorithms.rules import Unjudged
from augforge.cli.app import app
from augforge.data.parts import Parts
from augforge.engine.run import run
from augforge.engine.runners import generate
from augforge.errors import BadImage, RecipeError
from augforge.io.folder import Folder
from augforge.recipe import Recipe, SourceSpec, build_stage
from augforge.stages.generator import LoadedGenerator
from tests.conftest import write_images
from tests.test_laws import decisions, pixels, rows


def recipe(pictures: Path, *stages) -> Recipe:
    return Recipe("retry", 1, (SourceSpec("folder", str(pictures)),), stages)


def failing(names: set[str]):
    """Folder.read of a disk that cannot read some files."""
    read = Folder.read

    def sometimes(self: Folder, locator: str) -> bytes:
        if locator in names:
            raise BadImage(f"cannot be read: {OSError(errno.EIO, 'Input/output error').strerror}")
        return read(self, locator)

    return sometimes


def test_source_images_that_could_not_be_read_are_read_again_and_no_others(tmp_path, monkeypatch):
    pictures = write_images(tmp_path / "pictures", {"cat": 20})
    (pictures / "cat" / "text.png").write_text("never an image")
    (pictures / "cat" / "out.png").symlink_to("/etc/hostname")
    whole, sharpness = tmp_path / "whole", build_stage("filter", "sharpness", {"keep": 1.0})
    run(recipe(pictures, sharpness), whole, max_bad=1)
    with monkeypatch.context() as patched:
        patched.setattr(Folder, "read", failing({"cat/0003.png", "cat/0007.png"}))
        first = run(recipe(pictures, sharpness), tmp_path / "out", max_bad=1)
    assert first.reasons["source"]["cannot be read: Input/output error"] == 2
    assert run(recipe(pictures, sharpness), tmp_path / "out", max_bad=1).up_to_date  # nothing tells that it is mended
    again = run(recipe(pictures, sharpness), tmp_path / "out", max_bad=1, retry="failed")
    assert again.work[0]["read"] == 3  # the two, and the text, which is no image again; not the symlink
    assert again.work[1]["measured"] == 2 and again.work[1]["reused"] == 18
    assert rows(tmp_path / "out") == rows(whole)


def test_pictures_that_came_out_broken_are_made_again_and_no_others(tmp_path, tiny_unclip, monkeypatch):
    pictures = write_images(tmp_path / "pictures", {"cat": 4, "dog": 3})
    options = {"model": str(tiny_unclip), "per-class": 4, "batch": 4, "steps": 1}
    stage = build_stage("generate", "augmented-conditioning", options)
    whole = run(recipe(pictures, stage), tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(type(stage), "load", breaking(type(stage).load, {1, 6}))
        first = run(recipe(pictures, stage), tmp_path / "out")
    assert first.dropped == whole.dropped + 2
    sound = stored(tmp_path / "out")
    again = run(recipe(pictures, stage), tmp_path / "out", retry="failed")
    assert (again.work[1]["generated"], again.work[1]["reused"]) == (2, 6)
    assert decisions(tmp_path / "out") == decisions(tmp_path / "whole")
    assert sound.items() <= stored(tmp_path / "out").items() and len(sound) == 6
    one, other = pixels(tmp_path / "out"), pixels(tmp_path / "whole")
    assert all(np.abs(one[i] - other[i]).max() <= 1 for i in other)


def breaking(original, which: set[int]):
    """Loads a generator whose pictures with these numbers are NaN."""

    def opened(self, device):
        loaded, count = original(self, device), 0

        def generate(inputs):
            nonlocal count
            pictures = list(loaded.generate(inputs))
            for picture in pictures:
                if count in which:
                    picture.pixels[:] = np.nan
                count += 1
            return pictures

        return LoadedGenerator(generate, loaded.facts)

    return opened


def stored(out: Path) -> dict[str, bytes]:
    """The bytes of every sound picture in the parts."""
    found = {}
    for folder in (out / "parts").glob("generate-*"):
        parts = Parts(folder, generate.GENERATED, "id", print)
        found |= {key: parts.row(key)["image"] for key in parts.keys() - set(parts.failed())}
    return found


def test_forgetting_a_row_keeps_the_others_whatever_breaks(tmp_path, monkeypatch):
    import pyarrow as pa

    schema = pa.schema([("id", pa.string()), ("problem", pa.dictionary(pa.int32(), pa.string()))])
    parts = Parts(tmp_path / "x", schema, "id", print)
    parts.commit([{"id": f"a{n}", "problem": "bad" * (n == 1)} for n in range(4)])
    parts.commit([{"id": "b0", "problem": "bad"}])
    parts.reload()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", lambda self, **_: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
        with pytest.raises(Exception, match="cannot be written"):
            parts.forget(parts.failed())
    parts.reload()
    assert parts.keys() == {"a0", "a1", "a2", "a3", "b0"}
    assert parts.forget(parts.failed()) == 2
    assert parts.keys() == {"a0", "a2", "a3"} and not parts.failed()
    assert Parts(tmp_path / "x", schema, "id", print).keys() == {"a0", "a2", "a3"}


def test_images_that_could_not_be_judged_are_judged_again(tmp_path, pictures, monkeypatch):
    sharpness = build_stage("filter", "sharpness", {"keep": 1.0})
    measure, seen = type(sharpness).measure, list[bytes]()

    def unsure(self, image):
        seen.append(image.tobytes())
        if len(seen) % 4 == 1:
            raise Unjudged("the checker does not answer")
        return measure(self, image)

    with monkeypatch.context() as patched:
        patched.setattr(type(sharpness), "measure", unsure)
        first = run(recipe(pictures, sharpness), tmp_path / "out")
    assert first.dropped == 3 and run(recipe(pictures, sharpness), tmp_path / "out").up_to_date
    again = run(recipe(pictures, sharpness), tmp_path / "out", retry="failed")
    assert (again.work[1]["measured"], again.work[1]["reused"]) == (3, 8)
    run(recipe(pictures, sharpness), tmp_path / "whole")
    assert rows(tmp_path / "out") == rows(tmp_path / "whole")


def test_only_what_failed_can_be_done_again(tmp_path, pictures):
    with pytest.raises(RecipeError, match="--retry everything"):
        run(recipe(pictures), tmp_path / "out", retry="everything")
    result = CliRunner().invoke(
        app, ["filter", "sharpness", str(pictures), "--out", str(tmp_path / "out"), "--retry", "failed"]
    )
    assert result.exit_code == 0, result.output
