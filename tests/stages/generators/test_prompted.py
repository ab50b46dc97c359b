"""Prompts with captions and with templates by class: the words stand in the row, with whose they are."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from augforge.engine.plan import plan_run
from augforge.engine.run import run
from augforge.errors import RecipeError
from augforge.recipe import Recipe, SourceSpec, build_stage, check_recipe
from augforge.stages.prompts import choose, read_templates
from tests.conftest import write_images

TELLING = "{caption}, a kind of {label}"


@pytest.fixture(scope="session")
def plain(tmp_path_factory) -> str:
    from tests.tiny_backends import save_tiny_sd

    return str(save_tiny_sd(tmp_path_factory.mktemp("models") / "tiny-sd"))


@pytest.fixture
def captioned(tmp_path) -> Path:
    """Cats, dogs, and test images, each with a caption of its own."""
    folder = tmp_path / "captioned"
    for split, count in (("train", 3), ("test", 2)):
        write_images(folder / split, {"cat": count, "night_owl": count}, seed=count)
        lines = [
            {"file_name": f"{label}/{n:04d}.png", "label": label, "text": f"{split} place {label[0]}{n}."}
            for label in ("cat", "night_owl")
            for n in range(count)
        ]
        (folder / split / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def recipe(folder, *stages, seed: int = 1) -> Recipe:
    return Recipe("x", seed, (SourceSpec("folder", str(folder)),), stages)


def made(out) -> list[dict]:
    rows = pq.read_table(out / "samples.parquet").to_pylist()
    known = {row["id"]: json.loads(row["annotations"] or "{}").get("caption") for row in rows}
    labels = {row["id"]: row["label"] for row in rows}
    found = []
    for row in rows:
        if row["origin"] == "synthetic":
            drawn = json.loads(row["sampled_params"])
            donor = drawn.get("context")
            found.append({**row, **drawn, "words": known.get(donor), "donor-label": labels.get(donor)})
    return found


def generate(plain, name="img2img", **options):
    return build_stage("generate", name, {"model": plain, "per-class": 3, "steps": 2, "prompt": TELLING, **options})


@pytest.mark.parametrize("contexts", ["own", "shuffle"])
@pytest.mark.parametrize("name", ["img2img", "text2img"])
def test_the_caption_of_an_image_goes_into_the_prompt_and_whose_it_is_into_the_row(
    plain, captioned, tmp_path, name, contexts
):
    run(recipe(captioned, generate(plain, name, contexts=contexts)), tmp_path / "out")
    images = made(tmp_path / "out")
    assert len(images) == 6
    for row in images:
        assert row["prompt"] == f"{row['words'].rstrip('.')}, a kind of {row['label'].replace('_', ' ')}"
        assert row["words"].startswith("train")  # nothing of the test images leaks
        if contexts == "own":
            assert row["donor-label"] == row["label"]
            assert row["context"] in (row["parents"] or [row["context"]])
        else:
            assert row["context"] not in row["parents"]
    if contexts == "shuffle":
        assert {row["donor-label"] for row in images} == {"cat", "night_owl"}
        assert any(row["donor-label"] != row["label"] for row in images)
    if contexts == "shuffle" and name == "img2img":
        assert len({row["context"] for row in images}) == 6  # each gives its caption once


def test_with_shots_the_captions_of_other_images_are_not_seen(plain, captioned, tmp_path):
    run(recipe(captioned, generate(plain, contexts="shuffle", shots=1)), tmp_path / "out")
    images = made(tmp_path / "out")
    assert {row["context"] for row in images} == {parent for row in images for parent in row["parents"]}


def test_another_seed_shuffles_otherwise_and_the_same_seed_alike(plain, captioned, tmp_path):
    found = []
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        run(recipe(captioned, generate(plain, contexts="shuffle"), seed=seed), tmp_path / name)
        found.append({tuple(row["parents"]): row["context"] for row in made(tmp_path / name)})
    assert found[0] == found[1] != found[2]


def test_where_no_image_has_a_caption_it_is_said_what_to_do(plain, tmp_path):
    folder = write_images(tmp_path / "pictures", {"cat": 2, "dog": 2})
    for contexts in ("own", "shuffle"):
        for name in ("img2img", "text2img"):
            with pytest.raises(RecipeError, match=r"asks for a .caption.") as failed:
                run(recipe(folder, generate(plain, name, contexts=contexts)), tmp_path / "out")
            assert "caption: vlm" in str(failed.value.hint)


def test_a_plan_of_captions_to_come_counts_what_will_be_made(plain, tiny_vlm, tmp_path):
    folder = write_images(tmp_path / "pictures", {"cat": 2, "dog": 2})
    describe = build_stage("caption", "vlm", {"model": str(tiny_vlm), "longest": 6})
    told = recipe(folder, describe, generate(plain, contexts="shuffle"))
    assert [row.todo for row in plan_run(told, tmp_path / "out")][1:] == [4, 6]
    run(told, tmp_path / "out")
    assert [row.todo for row in plan_run(told, tmp_path / "out")][1:] == [0, 0]


def test_only_known_words_in_braces_are_taken(plain, tmp_path):
    with pytest.raises(RecipeError, match=r"\{lable\} in its prompt cannot be filled in") as failed:
        check_recipe(recipe(tmp_path, generate(plain, prompt="a {lable}")))
    assert "label" in str(failed.value.hint)
    with pytest.raises(RecipeError, match=r"only .label. can"):
        build_stage("filter", "clip", {"prompt": "{caption}"})


def test_templates_by_class_are_chosen_from_those_of_the_class(tmp_path):
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps({"cat": ["a {label} on a mat", "a sleeping {label}"], "": ["any {label}"]}))
    known = {choose("", str(path), "cat", seed) for seed in range(50)}
    assert known == {"a cat on a mat", "a sleeping cat"} and choose("", str(path), "dog", 1) == "any dog"
    path.write_text(json.dumps({"cat": ["a {label}"]}))
    with pytest.raises(RecipeError, match="has no templates for 'dog'"):
        choose("", str(path), "dog", 1)


@pytest.mark.parametrize("text", ["[]", "{}", '{"cat": []}', '{"cat": "a cat"}', '{"cat": [1]}', "{"])
def test_a_file_of_templates_that_is_none_is_refused(tmp_path, text):
    path = tmp_path / "prompts.json"
    path.write_text(text)
    with pytest.raises(RecipeError):
        read_templates(str(path))


def test_a_changed_file_of_templates_makes_other_images(plain, tmp_path):
    folder = write_images(tmp_path / "pictures", {"cat": 2, "dog": 2})
    path = tmp_path / "prompts.json"
    for word in ("red", "blue"):
        path.write_text(json.dumps({"": [f"a {word} {{label}}"]}))
        run(recipe(folder, generate(plain, templates=str(path))), tmp_path / "out")
        assert {row["prompt"] for row in made(tmp_path / "out")} == {f"a {word} cat", f"a {word} dog"}
