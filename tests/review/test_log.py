"""The file: what a line may be, whole lines of several writers, and errors that name the line."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augforge.errors import RecipeError, StoreError
from augforge.review import log
from augforge.review.lines import VERDICTS, Line, line_of, now_utc
from augforge.review.log import append, read_review, review_digest
from tests.review.made import line

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
NAMES = TEXTS.filter(str.strip)


@st.composite
def lines(draw) -> Line:
    verdict = draw(st.sampled_from(VERDICTS))
    label = draw(NAMES) if verdict == "relabel" else None
    text = draw(TEXTS) if verdict == "note" else draw(st.just("") | TEXTS)
    return Line(draw(NAMES), now_utc(), draw(NAMES), draw(NAMES), verdict, label, text)


@given(lines())
def test_a_line_is_read_back_as_it_was_whatever_is_in_it(one):
    assert "\n" not in one.json()
    assert line_of(json.loads(one.json())) == one


def test_lines_are_appended_and_nothing_before_them_is_touched(tmp_path):
    path = tmp_path / "some" / "review.jsonl"
    assert read_review(path) == [] and review_digest(path) == ""
    append(path, [line(second=1), line(second=2, verdict="keep")])
    before = path.read_bytes()
    append(path, [line(second=3, verdict="note", text="on\nseveral lines \u2028")])
    assert path.read_bytes().startswith(before) and path.read_bytes().count(b"\n") == 3
    assert [each.verdict for each in read_review(path)] == ["drop", "keep", "note"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"verdict": "dropp"}, "no verdict 'dropp'"),
        ({"when": "yesterday"}, "no time in UTC"),
        ({"when": "2026-05-01T09:30:00+02:00"}, "no time in UTC"),
        ({"when": "2026-13-01T09:30:00Z"}, "no time in UTC"),
        ({"label": "dog"}, "a drop has no label"),
        ({"verdict": "relabel"}, "needs a label"),
        ({"verdict": "note", "text": ""}, "needs a text"),
        ({"who": " "}, "who: it is empty"),
        ({"digest": 3}, "digest: 3 is no text"),
        ({"text": "x" * 10_001}, "10,001 characters"),
        ({"reason": "x"}, "unknown key 'reason'"),
        ({"id": None}, "no text"),
    ],
)
def test_a_malformed_line_is_an_error_with_its_number(tmp_path, changed, message):
    path = tmp_path / "review.jsonl"
    append(path, [line(), line(second=1)])
    with path.open("a") as file:
        file.write(json.dumps({**line().plain(), **changed}) + "\n" + line().json() + "\n")
    with pytest.raises(StoreError, match=f"line 3: .*{message}"):
        read_review(path)


@pytest.mark.parametrize(("bad", "message"), [("{", "it is no JSON"), ("[1]", "no JSON object"), ("\xff", "no JSON")])
def test_what_is_no_json_object_is_an_error_with_its_number(tmp_path, bad, message):
    path = tmp_path / "review.jsonl"
    path.write_bytes(f"{line().json()}\n".encode() + bad.encode("latin-1") + f"\n{line().json()}\n".encode())
    with pytest.raises(StoreError, match=f"line 2: .*{message}"):
        read_review(path)


def test_a_torn_last_line_is_named_and_nothing_is_written_behind_it(tmp_path):
    path = tmp_path / "review.jsonl"
    append(path, [line(), line(second=1)])
    whole = path.read_bytes()
    for end in range(len(line().json()) + 2, len(whole) - 1):  # cut within the second line, at every byte
        path.write_bytes(whole[:end])
        for use in (lambda: read_review(path), lambda: append(path, [line()])):
            with pytest.raises(StoreError, match="line 2: the last line is torn"):
                use()
        assert path.read_bytes() == whole[:end]


def test_zeros_that_a_disk_left_in_place_of_a_line_are_a_torn_one(tmp_path):
    path = tmp_path / "review.jsonl"
    path.write_bytes(f"{line().json()}\n".encode() + bytes(40))
    with pytest.raises(StoreError, match="line 2: the last line is torn"):
        append(path, [line()])


def test_a_last_line_that_only_lacks_its_end_is_whole(tmp_path):
    path = tmp_path / "review.jsonl"
    path.write_text(line().json())
    append(path, [line(second=1)])
    assert len(read_review(path)) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("export PATH=/bin\n", "line 1: it is no JSON"),
        ("export PATH=/bin", "line 1: it is no JSON"),
        ('{"name": "mine"}\n', "line 1: unknown key 'name'"),
        (f"{line().json()}\n\nnot a line\n{line().json()}\n", "line 3: it is no JSON"),
        (f"<<<<<<< HEAD\n{line().json()}\n", "line 1: git left two versions"),
    ],
)
def test_nothing_is_written_into_a_file_that_is_no_review_file(tmp_path, text, message):
    path = tmp_path / "settings.jsonl"
    path.write_text(text)
    with pytest.raises(StoreError, match=f"settings.jsonl, {message}") as caught:
        append(path, [line()])
    assert path.read_text() == text and caught.value.hint


def test_what_others_wrote_into_the_file_meanwhile_is_looked_at_too(tmp_path):
    path = tmp_path / "review.jsonl"
    append(path, [line()])
    append(path, [line(second=1)])
    with path.open("a") as file:
        file.write("a line of another program\n")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="line 3: it is no JSON"):
        append(path, [line(second=2)])
    assert path.read_bytes() == before


def test_a_file_is_looked_at_once_however_often_is_written_to_it(tmp_path, monkeypatch):
    path, looked = tmp_path / "review.jsonl", []
    path.write_text("".join(f"{line(second=number).json()}\n" for number in range(5)))
    monkeypatch.setattr(log, "line_of", lambda plain: looked.append(plain) or line_of(plain))
    for number in range(20):
        append(path, [line(second=number, who="bob")])
    assert len(looked) == 5 and len(read_review(path)) == 25


def test_the_marks_of_a_git_conflict_are_named(tmp_path):
    path = tmp_path / "review.jsonl"
    path.write_text(f"<<<<<<< HEAD\n{line().json()}\n=======\n{line(who='bob').json()}\n>>>>>>> other\n")
    with pytest.raises(StoreError, match="line 1: git left two versions"):
        read_review(path)


def test_a_line_is_checked_before_it_can_be_written():
    with pytest.raises(RecipeError, match="no verdict"):
        line(verdict="maybe")


WRITER = """
import sys
from pathlib import Path
from augforge.review.log import append
from tests.review.made import line
for number in range(100):
    both = [line(sys.argv[2], number, sys.argv[2] * 9000, text=f"{part} {number}") for part in "ab"]
    append(Path(sys.argv[1]), both)
"""


def test_two_writers_interleave_whole_lines(tmp_path):
    """Lines are longer than what a pipe or a page takes at once; each call of append stays together."""
    path = tmp_path / "review.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), who]) for who in ("x", "y")]
    seen, end = 0, monotonic() + 120
    while any(writer.poll() is None for writer in writers):
        assert monotonic() < end
        now = len(read_review(path))  # never half a line
        assert now >= seen and now % 2 == 0
        seen = now
    assert [writer.returncode for writer in writers] == [0, 0]
    found = read_review(path)
    assert len(found) == 400
    for who in "xy":
        assert [each.text for each in found if each.who == who] == [f"{p} {n}" for n in range(100) for p in "ab"]
    assert all(one.text[2:] == other.text[2:] for one, other in zip(found[::2], found[1::2], strict=True))


def test_who_never_lets_go_is_named_and_nothing_hangs(tmp_path, monkeypatch):
    import fcntl

    path = tmp_path / "review.jsonl"
    append(path, [line()])
    monkeypatch.setattr(log, "PATIENCE", 0.05)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="in use by another process"):
            append(path, [line()])
    assert len(read_review(path)) == 1


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    path = tmp_path / "review.jsonl"
    append(path, [line()])
    before, write = path.read_bytes(), os.write

    def full(handle: int, data: bytes) -> int:
        if len(data) < 50:
            raise OSError(errno.ENOSPC, "no space")
        return write(handle, data[:60])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreError, match="No space left"):
        append(path, [line(second=1)])
    assert path.read_bytes() == before


def test_what_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        append(Path(tmp_path / "file" / "review.jsonl"), [line()])
