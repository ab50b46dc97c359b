"""Which licences a recipe allows, and what `augforge check` says that its models need."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from augforge.cli.app import app
from augforge.errors import RecipeError
from augforge.recipe import load_recipe, parse_recipe
from augforge.recipe.needs import needs_of
from augforge.recipe.policy import check_licences
from augforge.recipe.rules import check_recipe

TEXT = """
source: {folder: photos}
licences: [apache-2.0, openrail]
stages:
  - generate: text2img
    model: %s
    per-class: 1
"""


@pytest.mark.parametrize("model", ["builtin-sd", "flux-schnell", "sd15", "sdxl-lightning", "z-image-turbo"])
def test_what_is_allowed_passes(model: str) -> None:
    assert parse_recipe(TEXT % model).licences == ("apache-2.0", "openrail")


@pytest.mark.parametrize(
    ("model", "licence"),
    [
        ("flux-dev", r"FLUX.1 \[dev\] Non-Commercial License"),
        ("sd35-medium", "Stability AI Community License"),
        ("sana-sprint", "unknown"),
        ("hub:owner/whatever", "unknown"),
    ],
)
def test_another_licence_is_refused_in_a_sentence(model: str, licence: str) -> None:
    wanted = rf"stage 1 \(generate: text2img\): the licence of '{model}' is {licence}.*only apache-2.0, openrail"
    with pytest.raises(RecipeError, match=wanted):
        parse_recipe(TEXT % model)
    assert parse_recipe((TEXT % model).replace("licences", "#")).licences == ()


def test_the_prior_and_the_adapter_count_too() -> None:
    text = TEXT.replace("text2img", "augmented-conditioning")
    with pytest.raises(RecipeError, match=r"FLUX\.1-Redux-dev' is FLUX\.1"):
        parse_recipe((text % "flux-schnell") + "    backend: redux\n")
    parse_recipe((text % "sd15") + "    backend: ip-adapter\n")
    with pytest.raises(RecipeError, match="'hub:a/b' is unknown"):
        parse_recipe((text % "sd15") + "    backend: ip-adapter\n    adapter: hub:a/b\n")


def test_models_that_the_recipe_trains_are_its_own() -> None:
    text = TEXT.replace("stages:", "stages:\n  - train: classifier\n    as: mine\n    embedder: builtin-clip")
    parse_recipe(text % "builtin-sd" + "  - filter: classifier\n    model: mine\n")


def test_a_policy_is_kept_in_the_resolved_recipe_and_checked_when_it_is_run() -> None:
    recipe = parse_recipe(TEXT % "sd15")
    assert parse_recipe(recipe.yaml()) == recipe
    assert parse_recipe((TEXT % "sd15").replace("[apache-2.0, openrail]", "'apache-2.0, openrail'")) == recipe
    assert "licences" not in replace(recipe, licences=()).yaml()
    with pytest.raises(RecipeError, match="OpenRAIL-M, and the recipe allows only mit"):
        check_recipe(replace(recipe, licences=("mit",)))
    for wrong in ("3", "[1]", "[apache-2.0, '']", "{a: b}"):
        with pytest.raises(RecipeError, match="no list of names"):
            parse_recipe((TEXT % "sd15").replace("[apache-2.0, openrail]", wrong))


def test_check_says_what_models_need_and_refuses_by_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text((TEXT % "flux-dev").replace("licences", "#"))
    said = CliRunner().invoke(app, ["check", str(file)])
    assert said.exit_code == 0
    told = " ".join(said.output.split())
    assert "flux-dev (FLUX.1 [dev] Non-Commercial License) takes 31.5 GiB in half precision and 63.0 in fp32" in told
    assert (
        "each image of a batch at 1024 x 1024 px takes about 1.5 GiB in half precision and 3.0 in fp32 on top" in told
    )
    refused = CliRunner().invoke(app, ["check", str(file), "--licence", "apache-2.0,openrail"])
    assert refused.exit_code != 0


def test_the_command_of_a_stage_refuses_by_licence_before_anything_is_read(tmp_path: Path) -> None:
    def typed(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, str(tmp_path / "none"), "--out", str(tmp_path / "run")])
        assert done.exit_code != 0 and not (tmp_path / "run").exists()
        return " ".join(done.output.split())

    generate = ("generate", "text2img", "--model", "flux-dev", "--per-class", "1")
    assert "FLUX.1 [dev] Non-Commercial License, and --licence allows only mit, openrail" in typed(
        *generate, "--licence", "mit,openrail"
    )
    assert "FLUX.1" not in typed(*generate)
    judged = ("filter", "clip", "--model", "dinov3-b", "--by", "clip-prototype", "--licence", "apache-2.0")
    assert "DINOv3" in typed(*judged)
    accepted = typed("generate", "text2img", "--model", "builtin-sd", "--until-accepted", "1", *judged[6:],
                     "--accept", "clip min=0.2 model=mobileclip2-b")  # fmt: skip
    assert "stage 2 (filter: clip): the licence of 'mobileclip2-b'" in accepted


def test_training_and_plan_refuse_by_licence_too(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text((TEXT % "flux-dev").replace("licences", "#"))
    refused = CliRunner().invoke(app, ["plan", str(file), "--licence", "apache-2.0"])
    assert refused.exit_code != 0 and "--licence allows only apache-2.0" in " ".join(refused.output.split())
    words = ["train", "lora", str(tmp_path / "none"), "--model", "flux-dev", "--out", str(tmp_path / "lora")]
    refused = CliRunner().invoke(app, [*words, "--licence", "apache-2.0"])
    assert refused.exit_code != 0 and "--licence allows only apache-2.0" in " ".join(refused.output.split())


def test_built_in_models_need_no_word(tmp_path: Path) -> None:
    assert needs_of(parse_recipe(TEXT % "builtin-sd")) == []
    file = tmp_path / "recipe.yaml"
    file.write_text((TEXT % "hub:a/b").replace("licences", "#"))
    (line,) = needs_of(load_recipe(file))
    assert "hub:a/b (licence unknown) takes memory that is not known; what a batch takes on top is" in line
    assert "estimated once its configuration is on this disk" in line
    check_licences(load_recipe(file).stages, ())
