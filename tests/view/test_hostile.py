"""What a hostile page, file or neighbour might try, beside what `test_guard` refuses."""

from __future__ import annotations

import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

import augforge
from augforge.errors import StoreError
from augforge.review.lines import Line
from augforge.review.log import append, read_review
from augforge.view import build, jobs, tower
from augforge.view.serve import settings
from tests.view.made import FILTER, RECIPE, digest, identity, many


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/query", b'{"search": "\\ud800"}'),
        ("/api/query", b'{"\\ud800": 1}'),
        ("/api/query", b'{"like": {"text": "\\ud800"}}'),
        ("/api/review", b'{"ids": ["x"], "verdict": "note", "text": "\\udfff\\ud800"}'),
        ("/api/cut", b'{"stage": "%s", "options": {"min": NaN}}' % FILTER.encode()),
        ("/api/cut", b'{"stage": "%s", "options": {"min": -Infinity}}' % FILTER.encode()),
        ("/api/cut", b'{"stage": "%s", "options": {"min": 1e999}}' % FILTER.encode()),
        ("/api/recipe/preview", b'{"stage": "%s", "options": {"min": 1e999}}' % FILTER.encode()),
        ("/api/cut", b'{"stage": "%s", "options": {"min": 1%s}}' % (FILTER.encode(), b"0" * 400)),
        ("/api/cut", b'{"stage": "%s", "options": {"min": true}}' % FILTER.encode()),
        ("/api/query", b'{"sort": {"by": "score:\\u0000"}}'),
        ("/api/query", b"[" * 100_000),
        ("/api/lasso", b'{"polygon": [[1e308, 0], [-1e308, 1], [0, 1e308]]}'),
        ("/api/query", b'{"filters": {"ids": ["\\u0000", "\\u00e9"]}}'),
    ],
)
def test_no_body_makes_the_server_fail(thousand_page, path, body):
    answer = thousand_page.post(path, body)
    assert answer.status_code < 500 and answer.json()


@pytest.mark.parametrize("origin", ["http://[", "http://127.0.0.1:x", "//", "\udcff"])
def test_an_origin_that_is_none_is_refused(page, origin):
    answer = page.client.get("/api/run", headers={"origin": origin.encode("utf-8", "surrogateescape")})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/thumb/%00",
        "/thumb/..%2f..%2fetc%2fpasswd",
        "/thumb/%ff?side=128",
        "/image/" + "a" * 5000,
        "/picture/x/..%2f..%2f..%2fetc%2fpasswd",
        "/api/sample/%F0%9F%92%A9",
        "/api/column/..%2fid",
        "/api/column/score:",
        "/api/map/..%2fpca/places.f32",
        "/api/query/..%2f..%2f/rows",
        "/b/api/run",
        "/api/review/next?by=..&count=1",
        "/app/shared/%2e%2e%2f__init__.py",
        "/app/%00.js",
        "/app/" + "a" * 5000 + ".js",
        "/api/review/suggestions?precision=nan",
        "/api/duplicates?offset=2147483648",
        "/difference/x/y",
        "/api/cut?stage=%00",
        "/api/review/suggestions?precision=-1",
    ],
)
def test_no_address_makes_the_server_fail_or_leads_out(page, path):
    answer = page.client.get(path)
    assert answer.status_code < 500 and b"root:" not in answer.content


def test_uploads_are_remembered_within_a_bound_of_bytes(thousand_page):
    """The largest body 32 times over would be more than the server may take in memory."""
    first = thousand_page.run.upload(b"0" * 19_000_000)
    last = [thousand_page.run.upload(bytes([number]) * 19_000_000) for number in range(1, 6)][-1]
    held = thousand_page.run._uploads
    assert sum(map(len, held.values())) <= 64_000_000 and last in held and first not in held


def test_a_run_that_is_opened_anew_leaves_no_model_of_the_one_it_is_compared_with(opened, tmp_path):
    page = opened(many(tmp_path / "run", 50), compare=many(tmp_path / "other", 50))
    ended = []
    page.run.other.close = lambda: ended.append("other")
    os.utime(tmp_path / "run" / "samples.parquet", (1, 1))
    page.served.reopen()
    assert ended == ["other"]


def test_a_page_that_is_loaded_again_shows_a_run_that_was_written_again(opened, tmp_path):
    folder = many(tmp_path / "run", 50)
    page = opened(folder)
    assert page.get("/api/run").json()["rows"] == 50
    many(tmp_path / "later", 70)
    (tmp_path / "later" / "samples.parquet").replace(folder / "samples.parquet")
    assert page.get("/api/run").json()["rows"] == 70
    assert page.ask()["of"] == 70


def test_two_servers_that_start_at_once_build_the_columns_of_a_run_once(tmp_path, monkeypatch):
    folder = many(tmp_path / "run", 50)
    builds, inside = [], threading.Barrier(2, timeout=1)
    real = build._build

    def slow(ledger: Path, target: Path) -> None:
        builds.append(target)
        with suppress(threading.BrokenBarrierError):
            inside.wait()  # the other one may begin in the meantime
        real(ledger, target)

    monkeypatch.setattr(build, "_build", slow)
    with ThreadPoolExecutor(2) as pool:
        places = [job.result(timeout=30) for job in [pool.submit(build.built, folder) for _ in range(2)]]
    assert len(builds) == 1 and places[0] == places[1] and (places[0] / "meta.json").is_file()


@pytest.mark.parametrize("what", ["a run", "a model"])
def test_a_file_beside_the_run_is_never_taken_for_a_module(tmp_path, what):
    """Somebody views a run that they were sent, from within its folder."""
    trap = tmp_path / "augforge"
    trap.mkdir()
    for name in ("__init__.py", "__main__.py"):
        (trap / name).write_text("raise SystemExit('caught')")
    env = {**os.environ, "PYTHONPATH": str(Path(augforge.__file__).parents[1])}
    env.pop("PYTHONSAFEPATH", None)
    words = [*jobs.PROGRAM, "--version"] if what == "a run" else tower.command(0, "x", "image-text", "cpu")
    done = subprocess.run(
        words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )
    assert "caught" not in done.stderr


def test_a_verdict_about_other_bytes_is_none_here_as_it_is_none_in_the_next_run(thousand_page):
    """An id outlives the bytes that were looked at; see docs/review.md."""
    path = thousand_page.run.reviewed.path
    when = "2026-01-01T00:00:00Z"
    append(
        path,
        [Line("Grace", when, identity(3), digest(999), "drop"), Line("Grace", when, identity(4), digest(4), "drop")],
    )
    assert thousand_page.ids(filters={"verdict": ["drop"]}) == [identity(4)]
    assert thousand_page.ids(filters={"who": ["Grace"]}) == [identity(4)]
    told = thousand_page.get("/api/review").json()
    assert (told["reviewed"], told["verdicts"]["drop"], told["changed"]) == (1, 1, 1)
    assert thousand_page.get(f"/api/sample/{identity(3)}").json()["decisions"] == []
    nexts = thousand_page.get("/api/review/next", count=1000).json()["ids"]
    assert identity(3) in nexts and identity(4) not in nexts


def test_what_is_withheld_is_not_offered_to_be_reviewed(page):
    hidden = set(page.ids(filters={"hidden": [1, 2]}))
    assert hidden and not hidden & {*page.get("/api/review/next", count=1000).json()["ids"]}


def test_a_recipe_that_is_saved_keeps_its_permissions(opened, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    recipe.chmod(0o640)
    page = opened(many(tmp_path / "run", 50), recipe=recipe)
    wanted = {"stage": FILTER, "options": {"min": 0.31}}
    version = page.post("/api/recipe/preview", wanted).json()["version"]
    assert page.post("/api/recipe/save", {**wanted, "version": version}).status_code == 200
    assert recipe.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["../.bashrc", "/tmp/authorized_keys", "x.jsonl/../profile", "review"])
def test_the_recipe_of_a_run_cannot_have_decisions_written_into_any_file(tmp_path, name):
    """A run from elsewhere names the file that is appended to; a line in a file of a shell would be run by it."""
    folder = many(tmp_path / "run", 10)
    (folder / "recipe.yaml").write_text(f"{RECIPE}  - filter: review\n    file: {name}\n")
    with pytest.raises(StoreError, match="jsonl"):
        settings(folder)
    assert settings(folder, review=tmp_path / "named").review == tmp_path / "named"


def test_the_recipe_of_a_run_may_name_another_review_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = many(tmp_path / "run", 10)
    (folder / "recipe.yaml").write_text(f"{RECIPE}  - filter: review\n    file: people/ours.jsonl\n")
    assert settings(folder).review == Path("people/ours.jsonl")


def test_what_is_withheld_cannot_be_kept_unseen(page):
    """After a filter for safety, `filter: review` would bring back what nobody has looked at."""
    hidden = page.ids(filters={"hidden": [1, 2]})
    for verdict in ({"verdict": "keep"}, {"verdict": "relabel", "label": "cat"}):
        refused = page.post("/api/review", {"ids": hidden[:1], **verdict})
        assert (refused.status_code, refused.json()["kind"]) == (403, "forbidden")
    everything = page.ask()
    written = page.post("/api/review", {"query": everything["query"], "verdict": "keep"}).json()["written"]
    assert written == everything["total"] - len(hidden) > 0
    assert not set(hidden) & {line.sample for line in read_review(page.run.reviewed.path)}
    assert page.post("/api/review", {"ids": hidden, "verdict": "drop"}).json()["written"] == len(hidden)
