"""How the browser is sent to the page without a secret in the arguments of a process, which all users can read."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from threading import Event, Timer
from time import monotonic, sleep
from urllib.parse import unquote, urlsplit

import pytest

from augforge.errors import AugforgeError
from augforge.view.entry import Entry
from augforge.view.serve import Viewed, serve, settings

ADDRESS = "http://127.0.0.1:8421/?token=a-secret_1"


def file_at(url: str) -> Path:
    """The file that a file:// URL names."""
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("file", "", "", "")
    return Path(unquote(parts.path))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def led_to(text: str) -> str:
    """Where a page of HTML leads on to."""
    (found,) = re.findall(r'http-equiv="refresh" content="0;url=([^"]+)"', text)
    return str(found)


def test_the_file_leads_on_to_the_page_and_is_for_its_user_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = os.umask(0)
    try:
        entry = Entry(ADDRESS)
    finally:
        os.umask(before)
    path = file_at(entry.url)
    assert led_to(path.read_text()) == ADDRESS and ADDRESS not in entry.url
    assert (mode(path), mode(path.parent)) == (0o600, 0o700) and path.parent.parent == tmp_path
    assert "no-referrer" in path.read_text()
    entry.remove()
    entry.remove()
    assert list(tmp_path.iterdir()) == []


def test_where_it_cannot_be_written_the_address_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(AugforgeError, match="cannot be written") as caught:
        Entry(ADDRESS)
    assert "--no-browser" in caught.value.hint


@pytest.fixture
def browser(monkeypatch, tmp_path):
    """What the browser is told to open, and what it finds there."""
    seen, came = [], Event()

    def look(url: str) -> bool:
        seen.append((url, file_at(url).read_text()))
        came.set()
        return True

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("webbrowser.open", look)
    return seen, came


def test_the_command_opens_that_file_and_removes_it_at_the_end(hostile, tmp_path, monkeypatch, browser):
    seen, came = browser
    said: list[str] = []

    def run(self) -> None:
        assert came.wait(20)
        self.close()

    monkeypatch.setattr(Viewed, "run", run)
    serve(settings(hostile, review=tmp_path / "r.jsonl"), 0, True, said.append)
    ((url, page),) = seen
    token = led_to(page).partition("token=")[2]
    assert led_to(page) in said[0] and token and token not in url
    assert not file_at(url).parent.exists()


def test_a_notebook_opens_that_file_and_removes_it_at_the_end(hostile, tmp_path, browser):
    seen, _ = browser
    viewed = Viewed(settings(hostile, review=tmp_path / "r.jsonl"), 0).start(browser=True)
    ((url, page),) = seen
    assert led_to(page) == viewed.url and file_at(url).exists()
    viewed.close()
    assert not file_at(url).parent.exists()


@pytest.mark.slow
@pytest.mark.parametrize("ended", [signal.SIGINT, signal.SIGTERM])
def test_no_process_is_given_the_token_and_nothing_is_left_however_it_is_ended(hostile, tmp_path, ended):
    note, temporary = tmp_path / "given", tmp_path / "tmp"
    temporary.mkdir()
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{note}.new" && mv "{note}.new" "{note}"\n')
    browser.chmod(0o755)
    words = ["view", str(hostile), "--port", "0", "--review", str(tmp_path / "r.jsonl")]
    env = {**os.environ, "BROWSER": str(browser), "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        [sys.executable, "-m", "augforge", *words], stdout=subprocess.PIPE, text=True, env=env, cwd=Path.cwd()
    )
    limit = Timer(120, process.kill)
    limit.start()
    try:
        token = re.search(r"token=(\S+)", process.stdout.readline())[1]
        end = monotonic() + 60
        while not note.exists() and monotonic() < end:
            sleep(0.05)
        given = note.read_text()
        assert given.startswith("file://") and token not in given
        assert token in file_at(given.strip()).read_text()
    finally:
        process.send_signal(ended)
        process.wait(60)
        limit.cancel()
    assert list(temporary.iterdir()) == []
