"""The terminal: pictures that are what they were, terminals that answer or do not, and a review at its keyboard."""

from __future__ import annotations

import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from io import BytesIO
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
from PIL import Image

from augforge.cli.terminal.keys import Terminal
from augforge.cli.terminal.pictures import fitted, iterm, kitty, sixel, understood_by
from augforge.cli.terminal.shown import Shown, opener
from augforge.data import images
from augforge.engine.run import run
from augforge.errors import RecipeError
from augforge.recipe import load_recipe
from augforge.review.doubt import to_review
from augforge.review.log import read_review
from tests.conftest import write_images
from tests.review.made import rows


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_kittys_picture_is_a_png_in_parts():
    picture = noise(70, 50)
    parts = re.findall(rb"\x1b_G([^;]*);([^\x1b]*)\x1b\\", kitty(picture))
    assert len(parts) > 1 and all(len(data) <= 4096 for _, data in parts)
    assert [dict(each.split(b"=") for each in keys.split(b","))[b"m"] for keys, _ in parts] == [b"1"] * (
        len(parts) - 1
    ) + [b"0"]
    assert b"f=100" in parts[0][0] and b"a=T" in parts[0][0]
    decoded = Image.open(BytesIO(b64decode(b"".join(data for _, data in parts))))
    assert (np.asarray(decoded) == np.asarray(picture)).all()


def test_iterms_picture_is_a_png_with_its_size():
    picture = noise(30, 20)
    head, data = re.fullmatch(rb"\x1b\]1337;File=([^:]*):(.*)\x07", iterm(picture), re.DOTALL).groups()
    assert b"inline=1" in head and b"width=30px;height=20px" in head
    assert b"size=%d" % len(b64decode(data)) in head
    assert (np.asarray(Image.open(BytesIO(b64decode(data)))) == np.asarray(picture)).all()


def drawn(sent: bytes) -> np.ndarray:
    """(h, w, 3) what a terminal draws of sixels, by the manual of the VT330; -1 where nothing is."""
    text = sent.decode()
    width, height, body = re.fullmatch(r'\x1bPq"1;1;(\d+);(\d+)(.*)\x1b\\', text, re.DOTALL).groups()
    found = np.full((int(height) + 6, int(width), 3), -1.0)
    palette, colour, x, y = {}, 0, 0, 0
    for token in re.finditer(r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)(.)|(\$)|(-)|(.)", body, re.DOTALL):
        number, *shares, chosen, count, repeated, back, down, one = token.groups()
        if number:
            palette[int(number)] = [int(share) / 100 * 255 for share in shares]
        elif chosen:
            colour = int(chosen)
        elif back:
            x = 0
        elif down:
            x, y = 0, y + 6
        else:
            times, bits = int(count or 1), ord(repeated or one) - 63
            for row in range(6):
                if bits >> row & 1:
                    found[y + row, x : x + times] = palette[colour]
            x += times
    return found[: int(height)]


@pytest.mark.parametrize("size", [(16, 12), (17, 7), (3, 1)])
def test_sixels_draw_the_picture(size):
    """Of few colours it comes back to within a hundredth; nothing is left out, also where six rows do not fit."""
    few = Image.fromarray((np.asarray(noise(*size)) // 128 * 255).astype(np.uint8))
    assert np.abs(drawn(sixel(few)) - np.asarray(few)).max() <= 255 / 100
    many = drawn(sixel(noise(*size)))
    assert (many >= 0).all()


def test_small_pictures_are_enlarged_in_squares_and_large_ones_fit():
    assert fitted(noise(8, 8), (80, 24)).size == (160, 160)
    assert fitted(noise(8, 8), (80, 5)).size == (80, 80)
    large = fitted(noise(3000, 1000), (80, 20))
    assert large.size == (640, 213)
    assert fitted(noise(300, 200), (200, 60)).size == (300, 200)
    assert fitted(noise(60, 40), (200, 60)).size == (120, 80)  # twice, not two and two thirds: squares stay equal


@contextmanager
def answering(reply: bytes | None) -> Iterator[Terminal]:
    """A terminal that answers what it is asked; None never does."""
    ours, theirs = pty.openpty()
    attributes = termios.tcgetattr(theirs)
    attributes[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(theirs, termios.TCSANOW, attributes)

    def answer() -> None:
        if select.select([ours], [], [], 5)[0] and os.read(ours, 4096) and reply is not None:
            os.write(ours, reply)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    with os.fdopen(os.dup(theirs), "wb") as out:
        yield Terminal(theirs, out)
    thread.join(5)
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(
    ("reply", "environment", "expected"),
    [
        (b"\x1b_Gi=31;OK\x1b\\\x1b[?62;4c", {}, "kitty"),
        (b"\x1b_Gi=31;ENOTSUP:no\x1b\\\x1b[?62;22c", {}, ""),
        (b"\x1b[?62;4;22c", {}, "sixel"),
        (b"\x1b[?64;14;40c", {}, ""),
        (b"\x1b_Gi=31;OK\x1b\\\x1b[?1;4c", {"TMUX": "/tmp/x", "KITTY_WINDOW_ID": "1"}, "sixel"),
        (b"\x1b[?1;2c", {"TMUX": "/tmp/x", "TERM_PROGRAM": "iTerm.app"}, ""),
    ],
)
def test_a_terminal_is_asked_what_it_understands(reply, environment, expected):
    with answering(reply) as terminal:
        assert understood_by(terminal, environment) == expected


def test_a_terminal_that_does_not_answer_costs_half_a_second():
    with answering(None) as terminal:
        began = monotonic()
        assert understood_by(terminal, {}) == ""
        assert 0.4 < monotonic() - began < 5


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({"KITTY_WINDOW_ID": "1"}, "kitty"), ({"TERM": "xterm-kitty"}, "kitty"), ({"TERM_PROGRAM": "WezTerm"}, "kitty"),
     ({"TERM_PROGRAM": "iTerm.app"}, "iterm"), ({"LC_TERMINAL": "iTerm2"}, "iterm")],
)  # fmt: skip
def test_some_terminals_are_known_by_name(environment, expected):
    with answering(None) as terminal:
        assert understood_by(terminal, environment) == expected
        terminal.write("x")  # so that who answers has something to read


def test_without_pictures_a_path_is_printed(tmp_path):
    out = BytesIO()
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123  # a file whose number is needed
        shown = Shown(Terminal(nothing.fileno(), out), "path", tmp_path)
        shown.show("ab/../cd", lambda: b"\x89PNG data")
        with pytest.raises(RecipeError, match="no way to show"):
            Shown(Terminal(nothing.fileno(), out), "kitten", tmp_path)
    assert (tmp_path / "abcd.png").read_bytes() == b"\x89PNG data" and str(
        tmp_path / "abcd.png"
    ) in out.getvalue().decode()
    assert opener({}) in ([], ["open"])


def test_a_file_is_opened_by_the_program_of_the_desktop(tmp_path, monkeypatch):
    program = tmp_path / "xdg-open"
    program.write_text(f'#!/bin/sh\ncp "$1" {tmp_path}/seen\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("DISPLAY", ":0")
    assert opener({"PATH": ""}) in ([], ["open"]) and opener() in (["xdg-open"], ["open"])
    (tmp_path / "files").mkdir()
    picture = images.encode_png(Image.new("RGB", (4, 4)))
    monkeypatch.setattr("augforge.cli.terminal.shown.opener", lambda: ["xdg-open"])
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123  # a file whose number is needed
        Shown(Terminal(nothing.fileno(), BytesIO()), "open", tmp_path / "files").show("ab", lambda: picture)
    end = monotonic() + 20
    while not ((tmp_path / "seen").exists() and (tmp_path / "seen").read_bytes()) and monotonic() < end:
        sleep(0.02)
    assert (tmp_path / "seen").read_bytes() == picture


@pytest.mark.parametrize("data", [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"#!/bin/sh\n", b"GIF8 data", b""])
def test_what_is_no_picture_is_given_to_no_other_program(tmp_path, monkeypatch, data):
    monkeypatch.setattr("augforge.cli.terminal.shown._start", lambda command: pytest.fail(str(command)))
    monkeypatch.setattr("augforge.cli.terminal.shown.opener", lambda: ["xdg-open"])
    out = BytesIO()
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123  # a file whose number is needed
        Shown(Terminal(nothing.fileno(), out), "open", tmp_path).show("ab", lambda: data)
    assert b"cannot be shown" in out.getvalue() and not list(tmp_path.iterdir())


KEYS: list[tuple[str, bytes]] = [
    ("1 of 6", b"k"),
    ("2 of 6", b"D"),
    ("why?", b"blurrx\x7fed\r"),
    ("3 of 6", b"x"),
    ("no key", b"r"),
    ("label", b"do\r"),
    ("4 of 6", b"\x1b[A"),  # an arrow
    ("no key", b"m"),
    ("marked", b"n"),
    ("note:", b"sch\xc3\xb6n\r"),
    ("sch", b"s"),
    ("5 of 6", b"d"),
    ("6 of 6", b"u"),
    ("took back: drop", b"n"),
    ("note:", b"\x1b"),
    ("no note", b"q"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("terminal")
    write_images(folder / "pictures", {"cat": 6, "dog": 4}, size=8)
    stages = "  - {filter: sharpness, keep: 0.5, on: all}\n  - {filter: review}\n"
    (folder / "r.yaml").write_text(f"name: r\nsource: {{folder: {folder / 'pictures'}}}\nstages:\n{stages}")
    run(load_recipe(folder / "r.yaml"), folder / "run")
    return folder


def typed(made: Path, keys: list[tuple[str, bytes]], *options: str) -> tuple[int, str]:
    """Start a review in a terminal, and type each answer once its question is there; exit code and all that was shown.

    Nothing waits for longer than a minute.
    """
    screen, theirs = pty.openpty()
    command = [sys.executable, "-m", "augforge", "review", "run", "--who", "Ann", *options]
    child = subprocess.Popen(command, cwd=made, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    end, shown, since = monotonic() + 60, "", 0
    waiting = list(keys)
    while monotonic() < end:
        ready, _, _ = select.select([screen], [], [], 0.2)
        try:
            more = os.read(screen, 65536) if ready else b""
        except OSError:
            more = b""
        shown += more.decode(errors="replace")
        if waiting and waiting[0][0] in shown[since:]:
            since = len(shown)
            os.write(screen, waiting.pop(0)[1])
        if child.poll() is not None:
            break
    else:
        child.kill()
    status = child.wait()
    os.close(screen)
    assert not waiting, f"it waits for {waiting[:1]}:\n{shown[-2000:]}"
    return status, shown


def test_a_session_at_the_keyboard(made: Path):
    options = ("--sample", "6", "--file", "session.jsonl", "--pictures", "path")
    code, shown = typed(made, KEYS, *options)
    assert code == 0, shown
    lines = read_review(made / "session.jsonl")
    told = [(each.verdict, each.label, each.text) for each in lines]
    assert told == [
        ("keep", None, ""),
        ("drop", None, "blurred"),
        ("relabel", "dog", ""),
        ("mark", None, ""),
        ("note", None, "schön"),
        ("drop", None, ""),
        ("undo", None, ""),
    ]
    order = [each.sample for each in to_review(made / "run", 6)]
    assert [each.sample for each in lines] == [order[i] for i in (0, 1, 2, 3, 3, 4, 4)]
    assert all(each.who == "Ann" and each.digest == rows(made / "run")[each.sample]["digest"] for each in lines)
    assert re.search(r"5 decisions of Ann are in .*session.jsonl", shown)
    assert "add `- filter: review`" in shown  # the run follows another file
    code, shown = typed(made, [("4 of 6", b"k"), ("5 of 6", b"\x04")], *options)  # the one that was skipped comes again
    assert code == 0 and read_review(made / "session.jsonl")[-1].sample == order[3]


def test_sixels_come_where_they_are_asked_for_and_the_terminal_is_left_as_it_was(made: Path):
    code, shown = typed(made, [("q quit", b"q")], "--file", "other.jsonl", "--pictures", "sixel")
    assert code == 0 and '\x1bPq"1;1;' in shown and not (made / "other.jsonl").exists()


def test_without_a_terminal_it_says_so(made: Path):
    command = [sys.executable, "-m", "augforge", "review", "run"]
    done = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "needs a terminal" in done.stderr
