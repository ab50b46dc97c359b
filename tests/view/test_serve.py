"""The server on a real port, the command, and the model that embeds what is searched for."""

from __future__ import annotations

import http.client
import io
import logging
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from queue import Queue
from threading import Timer

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import augforge
from augforge.cli.app import app
from augforge.data import images
from augforge.errors import AugforgeError, ModelError, StoreError
from augforge.view import tower
from augforge.view.serve import Viewed, serve, settings
from augforge.view.tower_process import Answering
from tests.view.made import identity, many


@pytest.fixture
def viewed(hostile, tmp_path):
    """The hostile run on a free port of this machine."""
    found = Viewed(settings(hostile, review=tmp_path / "review.jsonl", who="Ada"), 0).start()
    yield found
    found.close()


def test_it_listens_on_this_machine_alone_and_the_address_opens_the_page(viewed):
    asking = http.client.HTTPConnection("127.0.0.1", viewed.port, timeout=20)
    asking.request("GET", viewed.url.partition(str(viewed.port))[2])
    entered = asking.getresponse()
    assert entered.status == 303 and "uvicorn" not in str(entered.headers).lower()
    entered.read()
    asking.request("GET", "/api/session", headers={"cookie": entered.headers["set-cookie"].partition(";")[0]})
    assert asking.getresponse().status == 200
    asking.close()
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://127.0.0.1:{viewed.port}/api/session", timeout=20)
    assert viewed._socket.getsockname()[0] == "127.0.0.1"


def test_the_logs_of_whoever_serves_a_run_are_left_alone(hostile, tmp_path):
    """What configures logging closes the files of all handlers that there are."""
    mine = logging.FileHandler(tmp_path / "mine.log", mode="w")
    stream = mine.stream
    Viewed(settings(hostile, review=tmp_path / "review.jsonl", who="Ada"), 0).close()
    assert mine.stream is stream and not stream.closed
    mine.close()


def test_it_says_where_it_is_and_how_to_come_there_from_elsewhere(viewed):
    first, tunnel, decisions, last = viewed.lines()
    assert viewed.url in first and f"ssh -L {viewed.port}:127.0.0.1:{viewed.port} " in tunnel
    assert "review.jsonl" in decisions and "Ctrl-C" in last


def test_a_notebook_shows_a_frame_that_needs_no_cookie(viewed):
    html = viewed._repr_html_()
    (source,) = re.findall(r'<iframe src="([^"]+)"', html)
    with urllib.request.urlopen(f"{source}api/session", timeout=20) as answer:
        assert answer.status == 200


def test_two_servers_have_different_secrets_and_a_port_that_is_taken_is_named(hostile, tmp_path, viewed):
    options = settings(hostile, review=tmp_path / "review.jsonl")
    with pytest.raises(AugforgeError, match=f"port {viewed.port} is not free"):
        Viewed(options, viewed.port)
    other = Viewed(options, 0)
    assert other.frame_url.rpartition("~")[2] != viewed.frame_url.rpartition("~")[2]
    other.close()


def test_the_next_port_is_taken_where_the_usual_one_is_not_free(hostile, tmp_path, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr("augforge.view.serve.PORT", taken.getsockname()[1])
        found = Viewed(settings(hostile, review=tmp_path / "review.jsonl"))
        assert taken.getsockname()[1] < found.port < taken.getsockname()[1] + 20
        found.close()


def test_a_run_of_python_shows_itself(hostile, tmp_path):
    found = augforge.Run(hostile).view(port=0, review=tmp_path / "r.jsonl", who="Ada", read_only=True)
    assert found.lines()[2].strip() == "nothing can be changed"
    with urllib.request.urlopen(f"{found.frame_url}api/session", timeout=20) as answer:
        assert b'"read_only":true' in answer.read()
    found.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(found.frame_url, timeout=5)


def test_the_command_serves_what_it_was_asked_for(hostile, tmp_path, monkeypatch):
    asked = {}
    monkeypatch.setattr("augforge.view.serve.serve", lambda *given: asked.update(given=given))
    words = [
        "view",
        str(hostile),
        "--no-browser",
        "--port",
        "0",
        "--read-only",
        "--who",
        "Ada",
        "--compare",
        str(hostile),
    ]
    done = CliRunner().invoke(app, [*words, "--compare", str(hostile), "--review", str(tmp_path / "r.jsonl")])
    assert done.exit_code == 0, done.output
    options, port, browser, _ = asked["given"]
    assert (options.folder, options.compare, options.who, options.read_only) == (hostile, hostile, "Ada", True)
    assert (port, browser, options.review) == (0, False, tmp_path / "r.jsonl")


def test_serving_opens_the_browser_only_if_it_may(hostile, tmp_path, monkeypatch):
    opened, said = Queue(), []
    monkeypatch.setattr("webbrowser.open", opened.put)
    monkeypatch.setattr(Viewed, "run", lambda self: self.close())
    options = settings(hostile, review=tmp_path / "r.jsonl")
    serve(options, 0, False, said.append)
    assert opened.empty() and len(said) == 4
    serve(options, 0, True, said.append)  # what it opens: see test_entry
    assert opened.get(timeout=20).startswith("file://") and "?token=" in said[4] and opened.empty()


def test_what_is_no_run_folder_is_refused_before_a_port_is_taken(tmp_path):
    with pytest.raises(StoreError, match="no run folder"):
        Viewed(settings(tmp_path, review=tmp_path / "r.jsonl"), 0)
    with pytest.raises(StoreError, match="is a folder"):
        settings(tmp_path, review=tmp_path)


class Colour:
    """A model whose vectors are the mean colour, and of texts their length."""

    def embed_texts(self, texts):
        return np.array([[len(text), 0, 0] for text in texts], dtype=np.float32)

    def embed_images(self, pictures):
        return np.stack([np.asarray(picture).mean(axis=(0, 1)) for picture in pictures]).astype(np.float32)


def answering(model) -> Answering:
    found = Answering("x", "image-text", "cpu")
    found._model = model
    return found


def test_the_process_of_the_model_answers_texts_and_pictures():
    found = answering(Colour())
    assert found.answer("text", "four").tolist() == [4, 0, 0]
    red = images.encode_png(Image.new("RGB", (20, 20), "red"))
    assert found.answer("picture", red).tolist() == [255, 0, 0]
    message, _ = found.answer("picture", b"no picture")
    assert message and isinstance(message, str)
    assert answering(object()).answer("text", "x")[0] == "this model embeds no texts"


def test_a_model_that_is_not_to_be_had_is_an_error_of_the_user():
    assert "no-such-model" in Answering("no-such-model", "image-text", "cpu").answer("text", "x")[0]


def test_a_process_that_ends_is_told_of_and_begun_again(monkeypatch):
    monkeypatch.setattr(tower, "PROCESS", "this")
    found = tower.Tower("x", "image-text")
    for _ in range(2):
        with pytest.raises(ModelError, match="ended"):
            found.text("a")
    assert found._process is None


def test_a_process_that_does_not_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(tower, "PROCESS", "tests.view.mute")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr(tower, "SECONDS", 0.5)
    found = tower.Tower("x", "image-text")
    with pytest.raises(ModelError, match="in time"):
        found.text("a")


def picture(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(out, "PNG")
    return out.getvalue()


def test_an_uploaded_picture_must_be_one(thousand_page):
    kind = {"content-type": "application/octet-stream"}
    assert thousand_page.post("/api/upload", b"<svg/>", **kind).status_code == 400
    assert thousand_page.post("/api/upload", b"", **kind).status_code == 400
    assert thousand_page.post("/api/upload", picture("red")).status_code == 415
    assert thousand_page.post("/api/upload", picture("red"), **kind).json()["image"]


def test_a_text_is_searched_for_by_its_vector(thousand_page, monkeypatch):
    """The model is asked once for each text, and a vector of another length is no answer."""
    vectors = thousand_page.run.embedded
    asked: list[str] = []

    def text(self, given):
        asked.append(given)
        return vectors.of(23) if given == "like 23" else np.ones(3, dtype=np.float32)

    monkeypatch.setattr(tower.Tower, "text", text)
    assert thousand_page.ids(like={"text": "like 23"}, top=3)[0] == identity(23)
    wrong = thousand_page.post("/api/query", {"like": {"text": "other"}})
    assert wrong.status_code == 422 and "numbers" in wrong.json()["error"]
    assert asked == ["like 23", "other"]


def test_a_model_without_a_text_tower_is_said_clearly(opened, tmp_path):
    folder = many(tmp_path / "run", 50, 8)
    page = opened(folder)
    monkey = pytest.MonkeyPatch()
    monkey.setattr("augforge.view.embedded.Embedded.text_task", property(lambda self: None))
    try:
        told = page.get("/api/search").json()
        assert told == {"text": False, "image": True, "model": "builtin-clip", "why_not": told["why_not"]}
        assert "embeds no texts" in told["why_not"]
        refused = page.post("/api/query", {"like": {"text": "a cat"}})
        assert refused.status_code == 400 and "example" in refused.json()["hint"]
    finally:
        monkey.undo()


@pytest.mark.slow
def test_the_real_model_finds_pictures_by_text_and_by_example(opened, tmp_path):
    """A run with a CLIP, searched as a person would: the process with the model is a real one."""
    from augforge.engine.run import run
    from augforge.recipe import parse_recipe

    recipe = "name: clip\nsource: {sample: digits}\nstages:\n  - {filter: clip, model: builtin-clip, keep: 1}\n"
    run(parse_recipe(recipe), Path(tmp_path / "run"), limit=60, device="cpu")
    page = opened(tmp_path / "run")
    row = page.get(f"/api/query/{page.ask()['query']}/rows", limit=1).json()["rows"][0]
    data = page.get(f"/image/{row['id']}").content
    upload = page.post("/api/upload", data, **{"content-type": "application/octet-stream"}).json()["image"]
    (nearest,) = page.ids(like={"image": upload}, top=1)
    assert nearest == row["id"]
    found = page.ask(like={"text": "a photo of a 3"}, top=10)
    assert found["total"] == 10 and found["similarity"]


@pytest.mark.slow
def test_the_command_serves_until_it_is_interrupted_and_ends_well(hostile, tmp_path):
    words = ["view", str(hostile), "--no-browser", "--port", "0", "--review", str(tmp_path / "r.jsonl")]
    process = subprocess.Popen([sys.executable, "-m", "augforge", *words], stdout=subprocess.PIPE, text=True)
    limit = Timer(120, process.kill)
    limit.start()
    try:
        url = re.search(r"http://\S+", process.stdout.readline())[0]
        with urllib.request.urlopen(url.replace("?token=", "~") + "/api/session", timeout=60) as answer:
            assert answer.status == 200
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        limit.cancel()
    assert process.returncode == 0
