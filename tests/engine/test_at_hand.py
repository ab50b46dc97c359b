"""Models that cannot be had are said before the source is read; those whose results are there are not asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from augforge.engine import run as engine
from augforge.engine.run import run
from augforge.engine.runners import train as training
from augforge.engine.runners.train import train_alone
from augforge.errors import ModelError
from augforge.models import hub
from augforge.provenance.lock import read_lock
from augforge.recipe import Recipe, SourceSpec, build_stage, load_recipe
from tests.conftest import write_images


def recipe(folder, *stages):
    built = []
    for verb, name, options in stages:
        built.append(build_stage(verb, name, options))
    return Recipe("far", 0, (SourceSpec("folder", str(folder)),), tuple(built))


def unread(*arguments, **options):
    raise AssertionError("the source was read")


FAR = [
    ("generate", "text2img", {"per-class": 2}),
    ("generate", "img2img", {"per-class": 2}),
    ("generate", "variation", {"per-class": 2}),
    ("generate", "augmented-conditioning", {"per-class": 2, "model": "kandinsky-2.2"}),
    ("filter", "clip", {"model": "vit-b-32"}),
    ("filter", "margin", {"model": "ViT-L-14/openai"}),
    ("filter", "outlier", {"model": "hub:someone/vit"}),
    ("filter", "duplicates", {"by": "embedding", "model": "vit-b-32"}),
    ("filter", "safety", {"model": "vit-b-32"}),
    ("select", "k-center", {"model": "vit-b-32", "share": 0.5}),
    ("train", "classifier", {"embedder": "vit-b-32"}),
    ("train", "classifier", {"backbone": "timm:resnet18", "weights": "pretrained"}),
]


@pytest.mark.parametrize("stage", FAR, ids=lambda stage: f"{stage[1]}-{stage[2].get('model', 'default')}")
def test_what_can_be_had_from_nowhere_ends_the_run_before_the_source_is_read(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "open_sources", unread)
    with pytest.raises(ModelError, match=f"{stage[0]} {stage[1]}: .* cannot be had from the hub") as caught:
        run(recipe(tmp_path, stage), tmp_path / "out")
    assert caught.value.hint and not (tmp_path / "out").exists()


def test_a_training_by_itself_says_so_too(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "open_sources", unread)
    with pytest.raises(ModelError, match="train classifier: the model 'vit-b-32' cannot be had"):
        train_alone(recipe(tmp_path, ("train", "classifier", {"embedder": "vit-b-32"})), tmp_path / "out")


def test_an_evaluation_says_so_too(tmp_path):
    from augforge.evaluate.evaluation import evaluate
    from augforge.evaluate.settings import settings_of

    folder = write_images(tmp_path / "set", {"cat": 4, "dog": 4})
    run(recipe(folder, ("select", "random", {"share": 0.5})), tmp_path / "out")
    with pytest.raises(ModelError, match="'vit-b-32' cannot be had from the hub"):
        evaluate(tmp_path / "out", "/not/asked/for", settings_of({"judge": "vit-b-32"}))


def test_an_adapter_and_a_prior_are_asked_for_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "open_sources", unread)
    monkeypatch.setattr(hub, "is_cached", lambda repository, revision=None: "stable-diffusion" in repository)
    options = {"per-class": 2, "model": "sd15", "backend": "ip-adapter"}
    with pytest.raises(ModelError, match="'hub:h94/IP-Adapter' cannot be had"):
        run(recipe(tmp_path, ("generate", "augmented-conditioning", options)), tmp_path / "out")


def test_a_later_decision_needs_no_model(tmp_path, tiny_clip, monkeypatch):
    folder = write_images(tmp_path / "set", {"cat": 4, "dog": 4})
    first = recipe(folder, ("filter", "outlier", {"model": str(tiny_clip), "keep": 0.5}))
    assert run(first, tmp_path / "out").kept == 4

    def gone(model, task, *also, **more):
        raise ModelError("asked for")

    monkeypatch.setattr("augforge.engine.at_hand.check_at_hand", gone)
    second = recipe(folder, ("filter", "outlier", {"model": str(tiny_clip), "keep": 0.25}))
    assert run(second, tmp_path / "out").kept == 2
    with pytest.raises(ModelError, match="asked for"):
        run(second, tmp_path / "elsewhere")


def test_no_library_of_models_is_imported_for_it(tmp_path):
    folder = write_images(tmp_path / "set", {"cat": 2})
    code = (
        "import sys\nfrom augforge.cli.app import main\n"
        f"sys.argv = ['augforge', 'generate', 'text2img', {str(folder)!r}, '--out', {str(tmp_path / 'out')!r}]\n"
        "try: main()\nexcept SystemExit as end: print(end.code)\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'open_clip'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.stdout.split() == ["2", "[]"], shown.stdout + shown.stderr
    assert len(shown.stderr.splitlines()) == 2 and "the model 'sd15' cannot be had from the hub" in shown.stderr


SAFETY = ("filter", "safety", {})


@pytest.fixture
def pictures(tmp_path):
    return write_images(tmp_path / "set", {"cat": 3})


def test_offline_the_default_checker_is_the_one_that_is_installed(pictures, tmp_path):
    said = []
    summary = run(recipe(pictures, SAFETY), tmp_path / "out", progress=Said(said))
    assert summary.kept == 3
    assert [line for line in said if "open-nsfw judges instead" in line]
    recorded = load_recipe(tmp_path / "out" / "recipe.yaml")
    assert recorded.stages[0].checker == "open-nsfw"  # type: ignore[attr-defined]


class Said(engine.Progress):
    """Keeps what is said."""

    def __init__(self, said):
        self.said = said

    def say(self, text):
        self.said.append(text)


def test_a_model_that_was_named_is_not_replaced(pictures, tmp_path):
    with pytest.raises(ModelError, match="'vit-b-32' cannot be had"):
        run(recipe(pictures, ("filter", "safety", {"model": "vit-b-32"})), tmp_path / "out")


def test_where_nothing_is_installed_it_says_what_to_install(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("augforge.stages.filters.safety.installed", lambda package: False)
    with pytest.raises(ModelError, match="'vit-b-32' cannot be had") as caught:
        run(recipe(pictures, SAFETY), tmp_path / "out")
    assert "open-nsfw" in caught.value.hint


@pytest.mark.parametrize("options", [{"checker": "open-nsfw"}, {"model": "open-nsfw"}])
def test_the_checker_of_the_table_is_named_either_way(options, pictures, tmp_path):
    summary = run(recipe(pictures, ("filter", "safety", options)), tmp_path / "out")
    assert summary.kept == 3
    locked = read_lock(tmp_path / "out" / "recipe.lock")["models"]
    assert list(locked) == ["open-nsfw"] and len(locked["open-nsfw"]["digest"]) == 64
