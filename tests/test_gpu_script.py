"""scripts/gpu: a section that fails, hangs or is cut off loses itself alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from figures import Figures, write_json  # noqa: E402
from gpu import command, runner, tables  # noqa: E402
from gpu.runner import Setting, run_sections  # noqa: E402
from gpu.table import SECTIONS, Section  # noqa: E402


def section(name: str, code: str, seconds: float = 1.0, files: tuple[str, ...] = ()) -> Section:
    """A section of one line of Python; `path` is the file for its figures."""
    line = "from pathlib import Path; import sys, time; path = Path(sys.argv[1]); " + code
    words = '{python} -c "' + line.replace("{", "{{").replace("}", "}}") + '" {json}'
    return Section(name, name.title(), seconds, words, words, files)


FINE = section("fine", "path.write_text('[1]'); print('all is well')")
RAISES = section("raises", "print('before'); raise ValueError('planted')")
HANGS = section("hangs", "path.write_text('[2]'); print('here it hangs', flush=True); time.sleep(600)")
IDLE = section("idle", "print('no data here'); sys.exit(77)")


def run(out: Path, *sections: Section, seconds: float = 20.0, **more: bool) -> dict[str, str]:
    records = run_sections(sections, Setting(out, "cpu", True, seconds, **more))
    for record in records:
        assert json.loads((out / f"{record['section']}.json").read_text()) == record
    return {record["section"]: record["status"] for record in records}


def test_a_section_that_raises_or_hangs_takes_no_other_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "GRACE", 0.5)
    late = section("late", "path.write_text('[3]')", 4.0)
    statuses = run(tmp_path, FINE, RAISES, HANGS, IDLE, late, seconds=8)
    assert statuses == {"fine": "ok", "raises": "failed", "hangs": "timeout", "idle": "skipped", "late": "ok"}
    records = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in statuses}
    assert records["raises"]["tail"][-1] == "ValueError: planted" and records["raises"]["figures"] is None
    assert records["hangs"]["figures"] == [2] and "here it hangs" in records["hangs"]["tail"]
    assert records["idle"]["tail"] == ["no data here"]
    assert records["late"]["figures"] == [3] and records["fine"]["tail"] == []
    assert not list(tmp_path.glob("*.part.json")) and not list(tmp_path.glob(".*"))


def test_what_a_section_started_ends_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "GRACE", 0.5)
    child = "import subprocess as s; c = s.Popen(['sleep', '600']); path.write_text(str(c.pid)); time.sleep(600)"
    assert run(tmp_path, section("parent", child), seconds=2) == {"parent": "timeout"}
    pid = json.loads((tmp_path / "parent.json").read_text())["figures"]
    with pytest.raises(ProcessLookupError):
        for _ in range(50):  # a killed process may wait for init to take note of it
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                raise ProcessLookupError
            time.sleep(0.1)


def test_a_section_that_will_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "GRACE", 0.3)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    started = time.monotonic()
    assert run(tmp_path, section("deaf", deaf), seconds=1.5) == {"deaf": "timeout"}
    assert time.monotonic() - started < 6


def test_time_that_is_left_goes_to_the_later_ones(tmp_path):
    run(tmp_path, FINE, section("last", "time.sleep(2.5)", 1.0), seconds=4)  # more than half of it
    limits = [json.loads((tmp_path / f"{name}.json").read_text())["limit"] for name in ("fine", "last")]
    assert limits[0] <= 2 and limits[1] > 2.5


def test_without_time_nothing_is_started(tmp_path):
    assert run(tmp_path, FINE, seconds=0) == {"fine": "timeout"}


def test_a_command_that_is_not_there_has_failed(tmp_path):
    assert run(tmp_path, Section("gone", "Gone", 1, "no-such-program", "no-such-program"), FINE) == {
        "gone": "failed",
        "fine": "ok",
    }


def test_resume_leaves_out_what_ended_well(tmp_path):
    counted = section("counted", "Path('COUNT').open('a').write('x')".replace("COUNT", str(tmp_path / "count")))
    broken = section("broken", "sys.exit(1)")
    run(tmp_path, counted, broken)
    assert run(tmp_path, counted, section("broken", "pass"), resume=True) == {"counted": "ok", "broken": "ok"}
    assert (tmp_path / "count").read_text() == "x"
    run_sections(
        [counted], Setting(tmp_path, "cpu", False, 20, resume=True)
    )  # the smoke's results are not the real ones
    run(tmp_path, counted)
    assert (tmp_path / "count").read_text() == "xxx"


def test_an_ended_run_ends_its_section(tmp_path):
    """SIGTERM to the script: the section goes with it, and what was measured before is there."""
    child = section("hangs", "path.write_text(str(__import__('os').getpid())); time.sleep(600)")
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT / 'benchmarks')!r}]; from gpu.command import main; from gpu.table "
        f"import Section; main(['--device', 'cpu', '--smoke', '--out', {str(tmp_path)!r}], [{FINE!r}, {child!r}])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    part = tmp_path / "hangs.part.json"
    for _ in range(600):
        if part.exists() and part.read_text():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(part.read_text()), 0)
    assert json.loads((tmp_path / "fine.json").read_text())["status"] == "ok"


def test_the_command_line(tmp_path, capsys):
    arguments = ["--device", "cpu", "--smoke", "--out", str(tmp_path)]
    assert command.main([*arguments, "--only", "fine"], [FINE, RAISES]) == 0
    assert not (tmp_path / "raises.json").exists()
    assert command.main(arguments, [FINE, RAISES]) == 1
    assert "not well: raises" in capsys.readouterr().out
    where = json.loads((tmp_path / "machine.json").read_text())
    assert where["smoke"] and where["device"] == "cpu" and where["versions"]["torch"]
    with pytest.raises(SystemExit, match="toy sizes"):
        command.main(["--write", str(tmp_path)], [FINE])
    with pytest.raises(SystemExit, match="no results"):
        command.main(["--write", str(tmp_path / "elsewhere")], [FINE])


def planted(out: Path) -> None:
    """Results as a GPU would leave them: one section well, one that ran out of time, one cut off, one not reached."""
    where = {"card": "Card X", "driver": "1.2", "memory-gib": 80.0, "cuda": "13", "cores": 16, "python": "3.12.3"}
    more = {"versions": {"torch": "2.11.0"}, "date": "2026-01-02", "device": "cuda", "smoke": False, "minutes": 9.0}
    write_json(out / "machine.json", {**where, **more})
    figures = Figures(out / "b.part.json")
    figures.row("speed", road="ours", **{"images/s": 12.345, "GiB": None})
    figures.bar("ours over the loop", 3.9, 4)
    measured = json.loads((out / "b.part.json").read_text())
    write_json(out / "a.json", {"section": "a", "status": "ok", "seconds": 3.0, "figures": measured, "tail": []})
    late = {"section": "c", "status": "timeout", "seconds": 30.0, "figures": None, "tail": ["loading", ""]}
    write_json(out / "c.json", late)


def test_results_are_written_between_their_marks(tmp_path):
    planted(tmp_path)
    page = tmp_path / "RESULTS.md"
    page.write_text("# Results\n\n<!-- gpu: begin, written by its benchmark -->\nold\n<!-- gpu: end -->\n\nmore\n")
    command.main(["--write", str(tmp_path)], [Section(n, n.upper(), 1, "", "") for n in "abcd"], page)
    text = page.read_text()
    assert text.endswith("<!-- gpu: end -->\n\nmore\n") and "old" not in text
    for wanted in ("Card X", "driver 1.2", "torch 2.11.0", "2026-01-02", "--minutes 9"):
        assert wanted in text
    assert "| road | images/s | GiB |\n|---|---:|---:|\n| ours | 12.3 | - |" in text
    assert text.count("ours over the loop: 3.9, bar 4: **missed**") == 2, "of the section cut off, what it had measured"
    assert "### B\n\nStatus: cut off" in text
    assert "### C\n\nStatus: timeout after 30 s: `loading`\n\n**not measured**" in text
    assert "### D\n\n**not measured**: it was not reached." in text


def test_figures_are_whole_after_each_of_them(tmp_path, capsys):
    figures = Figures(tmp_path / "f.json")
    figures.row("t", a=1)
    assert json.loads((tmp_path / "f.json").read_text())["tables"] == {"t": [{"a": 1}]}
    figures.bar("enough", 1.0, 1.0)
    assert json.loads((tmp_path / "f.json").read_text())["bars"][0]["met"] is True
    assert "enough: 1, bar 1: met" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["f.json"]


def test_the_table_fits_its_time_and_the_files_that_come_back():
    assert sum(one.seconds for one in SECTIONS) <= 60 * 12
    names = [one.name for one in SECTIONS]
    assert len(set(names)) == len(names) == 5 and not set(names) & {"machine"}
    assert len(SECTIONS) + sum(len(one.files) for one in SECTIONS) + 1 <= 8
    setting = Setting(Path("out"), "cpu", True, 60)
    for one in SECTIONS:
        words = runner.filled(one, setting, 10)
        assert (ROOT / words[1]).name and words[1].endswith(".py") and "{" not in " ".join(words)


def test_cells_are_read_as_numbers_or_text():
    assert [tables.cell(value) for value in (None, 0.1234, 1234.5, 7, "a|b")] == ["-", "0.123", "1,234", "7", "a\\|b"]
