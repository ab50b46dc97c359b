"""Commands that are given a URL: where it means a run it is taken, everywhere else it is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from augforge.cli.app import app
from tests.remote.stores import Bucket, put_all

RUN = "filter quality {source} --keep 0.5 --out {url}"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUGFORGE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def call(*words: str) -> tuple[int, str, str]:
    """Exit code, output and messages of a command."""
    result = CliRunner().invoke(app, list(words), prog_name="augforge")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_from_a_bucket_into_a_bucket(bucket: Bucket, pictures: Path):
    source, url = put_all(bucket, pictures, "photos"), f"{bucket.root}/runs/one"
    code, out, said = call(*RUN.format(source=source, url=url).split())
    assert code == 0 and f"{source}: image folder, " in said and f"augforge report {url}" in out
    code, out, _ = call("status", url, "--json")
    assert code == 0 and (json.loads(out)["state"], json.loads(out)["folder"]) == ("finished", url)
    assert call("thresholds", url, "--json")[0] == call("verify", url)[0] == 0
    assert call("inspect", url)[0] == 0
    code, out, _ = call(*RUN.format(source=source, url=url).split())
    assert code == 0 and f"{url} is up to date" in out
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("export {run} --to parquet --out s3://bucket/x", "s3://bucket/x is a URL: only a run is written to one"),
        ("report {run} --out s3://bucket/x.html", "s3://bucket/x.html is a URL: only a run is written to one"),
        ("train classifier {source} --embedder builtin-clip --out s3://bucket/x", "s3://bucket/x is a URL"),
        ("filter quality {source} --keep 0.5 --out runs/x --store s3://bucket/x", "s3://bucket/x is a URL"),
        ("filter quality {source} --keep 0.5 --out hf://datasets/a/x", "no run is written to hf://datasets/a/x"),
        ("filter quality {source} --keep 0.5 --out s4://bucket/x", "no run is written to s4://bucket/x"),
        ("filter quality s4://bucket/x --keep 0.5 --out runs/x", "nothing is read from s4://"),
        ("filter quality https://example.org/x --keep 0.5 --out runs/x", "is a web address, and nothing is downloaded"),
    ],
)
def test_a_url_where_none_is_taken(command, said, pictures: Path, tmp_path, bucket: Bucket):
    code, _, message = call(*command.format(run=tmp_path, source=pictures).split())
    assert code == 2 and said in message.replace("\n  ", " ")
    assert list(Path().iterdir()) == []
