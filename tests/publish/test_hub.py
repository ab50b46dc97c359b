"""Pushing to the Hub, with a Hub that only remembers: refused at once offline, private by default, with the card."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, HTTPError, RepositoryNotFoundError

from augforge import Run
from augforge.errors import RecipeError, StoreError
from augforge.publish.hub import push, repository
from tests.cli.test_cli import call

httpx = import_module(HTTPError.__module__.partition(".")[0])
"""The library by which huggingface_hub speaks."""


def refusal(kind: type[HfHubHTTPError], status: int, text: str) -> HfHubHTTPError:
    """What huggingface_hub raises."""
    response = httpx.Response(status, request=httpx.Request("POST", "https://huggingface.co/api"))
    return kind(text, response=response, server_message=text)


class FakeApi:
    """As much of `HfApi` as is used; what is in the repositories is in `hub`."""

    hub: ClassVar[dict[str, dict[str, Any]]] = {}
    failing: ClassVar[Exception | None] = None

    def __init__(self, **options: Any) -> None:
        assert "token" not in options, "the token is found by huggingface_hub itself"

    def repo_info(self, repo_id: str, *, repo_type: str) -> Any:
        assert repo_type == "dataset"
        if isinstance(self.failing, httpx.HTTPError):
            raise self.failing
        if repo_id not in self.hub:
            raise refusal(RepositoryNotFoundError, 404, "not found")
        return SimpleNamespace(private=self.hub[repo_id]["private"])

    def whoami(self) -> dict[str, str]:
        return {"name": "me"}

    def create_repo(self, repo_id: str, *, repo_type: str, private: bool, exist_ok: bool) -> str:
        assert repo_type == "dataset" and exist_ok
        if self.failing:
            raise self.failing
        self.hub.setdefault(repo_id, {"private": private, "files": {}})
        return f"https://huggingface.co/datasets/{repo_id}"

    def upload_folder(self, *, repo_id: str, folder_path: Path, ignore_patterns: str, **options: Any) -> Any:
        from huggingface_hub.utils import filter_repo_objects

        found = {p.relative_to(folder_path).as_posix(): p.read_bytes() for p in folder_path.rglob("*") if p.is_file()}
        wanted = set(filter_repo_objects(list(found), ignore_patterns=ignore_patterns))
        there = self.hub[repo_id]["files"]
        gone = set(filter_repo_objects(list(there), allow_patterns=options["delete_patterns"]))
        kept = {name: data for name, data in there.items() if name not in gone}
        self.hub[repo_id]["files"] = kept | {name: data for name, data in found.items() if name in wanted}
        return SimpleNamespace(oid="0123456789abcdef")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """The repositories of a Hub that can be reached, with a token."""
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeApi)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_something")
    monkeypatch.setattr(FakeApi, "hub", {})
    monkeypatch.setattr(FakeApi, "failing", None)
    return FakeApi.hub


def test_a_push_is_private_and_loads_as_a_dataset(finished, tmp_path, hub):
    import datasets

    pushed = push(finished, "me/birds", tmp_path / "out")
    assert pushed.private and hub["me/birds"]["private"] and pushed.exported.rows == 35
    files = hub["me/birds"]["files"]
    assert {"README.md", "croissant.json", "export.json", "data/train-00000-of-00001.parquet"} < files.keys()
    assert "made with augforge" in files["README.md"].decode().lower()
    for name, data in files.items():
        (tmp_path / "fetched" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fetched" / name).write_bytes(data)
    loaded = datasets.load_dataset(str(tmp_path / "fetched"), cache_dir=str(tmp_path / "cache"))
    assert isinstance(loaded, datasets.DatasetDict) and sum(loaded.num_rows.values()) == 35


def test_a_second_push_leaves_no_shard_of_the_first(finished, tmp_path, hub, monkeypatch):
    from augforge.io.parquet import ParquetWriter

    with monkeypatch.context() as patched:
        patched.setattr(ParquetWriter, "shard_rows", 8)
        push(finished, "me/birds", tmp_path / "many")
    many = {name for name in hub["me/birds"]["files"] if name.endswith(".parquet")}
    push(finished, "hub:me/birds", tmp_path / "few")
    few = {name for name in hub["me/birds"]["files"] if name.endswith(".parquet")}
    assert len(many) == 6 and few == {"data/train-00000-of-00001.parquet", "data/validation-00000-of-00001.parquet"}


def test_public_is_asked_for(finished, tmp_path, hub):
    assert not push(finished, "me/open", tmp_path / "a", public=True).private and not hub["me/open"]["private"]
    with pytest.raises(RecipeError, match="is public"):
        push(finished, "me/open", tmp_path / "b")
    assert not (tmp_path / "b").exists(), "before anything is written"
    hub["me/closed"] = {"private": True, "files": {}}
    assert push(finished, "me/closed", tmp_path / "c", public=True).private, "a private repository stays so"


def test_offline_it_is_refused_at_once_in_one_sentence(finished, tmp_path, hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    told = call("export", finished, "--to", "hub", "--repo", "me/x", "--out", tmp_path / "out", code=2).stderr
    assert told.splitlines()[0] == "augforge: HF_HUB_OFFLINE forbids to push to the Hub" and len(told.splitlines()) == 2
    assert not (tmp_path / "out").exists() and not hub


def test_no_token_and_no_network_are_said_before_anything_is_written(finished, tmp_path, hub, monkeypatch):
    monkeypatch.setattr(FakeApi, "failing", httpx.ConnectError("[Errno -2] Name or service not known"))
    with pytest.raises(StoreError, match="cannot be reached"):
        push(finished, "me/x", tmp_path / "out")
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(StoreError, match="no token") as caught:
        push(finished, "me/x", tmp_path / "out")
    assert "hf auth login" in caught.value.hint and not (tmp_path / "out").exists()


def test_what_the_hub_refuses_is_said_in_its_own_words(finished, tmp_path, hub, monkeypatch):
    monkeypatch.setattr(
        FakeApi, "failing", refusal(HfHubHTTPError, 403, "You have no right to write to this namespace")
    )
    with pytest.raises(StoreError, match="You have no right to write"):
        push(finished, "they/x", tmp_path / "out")


@pytest.mark.parametrize(
    "name", ["", "birds", "a/b/c", "../x", "a/..", "me/b irds", "me/", "/x", "a" * 120 + "/b", "hub:"]
)
def test_a_name_that_is_none_is_refused_before_the_hub_is_asked(finished, tmp_path, name):
    with pytest.raises(RecipeError, match="repository"):
        push(finished, name, tmp_path / "out")


def test_names_are_taken_as_the_hub_writes_them():
    assert repository("me/birds") == repository("hub:me/birds") == "me/birds"


def test_the_command_and_its_twin_push(finished, tmp_path, hub):
    words = ("export", finished, "--to", "hub", "--repo", "me/birds", "--out", tmp_path / "out", "--size", "8")
    assert "pushed to https://huggingface.co/datasets/me/birds, private" in call(*words).stdout
    assert json.loads(call(*words, "--json").stdout)["exported"]["up_to_date"]
    assert Run(finished).export("push_to_hub", tmp_path / "twin", repo="me/twin", public=True).rows == 35
    assert hub["me/twin"]["private"] is False
    for wrong in (["--repo", "me/x"], ["--public"]):
        told = call("export", finished, "--to", "parquet", *wrong, "--out", tmp_path / "p", code=2).stderr
        assert "are for the Hub" in told
