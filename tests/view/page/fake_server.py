"""A tiny server of a `FakeRun`: what the page asks, answered as the server does, with no file and no job behind it."""

from __future__ import annotations

import io
import json
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from PIL import Image

from tests.view.page.fake_run import EVIL, FILTER, MAKER, MEASURE, OUTCOMES, SOURCE, FakeRun

TOKEN = "write"
KINDS = {"js": "text/javascript", "css": "text/css", "html": "text/html; charset=utf-8"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
CUT = {
    "measure": MEASURE, "lower_is_better": False, "options": {"min": 0.27, "max": None, "keep": None},
    "rule": {"min": 0.27}, "exact": True, "off": 0,
}  # fmt: skip
SUGGESTED = {
    "stage": FILTER, "number": 2, "measure": MEASURE, "option": "min", "lower-is-better": False, "reviewed": 50,
    "good": 40, "more": 120, "wrongly-kept": [], "wrongly-dropped": [], "now": {"precision": 0.9, "recall": 0.8},
    "suggested": {"at": 0.3, "precision": 0.95, "recall": 0.7, "precision-interval": [0.9, 0.98], "f1": 0.8},
    "curve": [[0.1 + 0.01 * n, min(1.0, 0.5 + 0.02 * n), 1 - 0.02 * n, 0.5] for n in range(30)],
}  # fmt: skip
DIFF = "--- a\n+++ b\n@@ -4 @@\n-    min: 0.27\n+    min: %s"
RECIPE = "name: many\nstages:\n  - filter: clip\n    min: 0.27\n"


class FakeSite:
    """Everything that the server knows. `refuse` maps the beginning of a path to an error that it then answers."""

    def __init__(self, run: FakeRun, read_only: bool = False, compare: bool = False) -> None:
        self.run, self.read_only, self.compare = run, read_only, compare
        self.queries: dict[str, tuple[dict[str, Any], np.ndarray]] = {}
        self.refuse: dict[str, tuple[int, dict[str, str]]] = {}
        self.job: dict[str, Any] = {"state": "none", "stages": [], "step": None, "message": "", "revision": "1"}
        self.recipe, self.revision = RECIPE, "1"
        self.asked: list[str] = []

    def query(self, body: dict[str, Any]) -> dict[str, Any]:
        name = f"q-{abs(hash(json.dumps(body, sort_keys=True))):x}"
        rows = self.run.search(body)
        self.queries[name] = (body, rows)
        return {"query": name, "total": len(rows), "of": self.run.count, "seconds": 0.0, "similarity": False}

    def told(self) -> dict[str, Any]:
        run = self.run
        scored = run.score[~np.isnan(run.score)]
        stages = [
            {"title": MAKER, "number": 1, "verb": "generate", "name": "conditioning", "why_no_cut": "no filter"},
            {"title": FILTER, "number": 2, "verb": "filter", "name": "clip", "why_no_cut": ""},
        ]
        return {
            "name": EVIL[0] if run.evil else "many", "folder": "many", "revision": self.revision, "rows": run.count,
            "format": 5, "finished": True, "seed": 0, "notes": [], "balance": [], "stages": stages,
            "columns": {
                "label": run.names, "origin": ["real", "synthetic"], "stage": [SOURCE, MAKER], "by": [FILTER],
                "reason": [run.reason()], "split": [], "outcome": OUTCOMES, "annotation": ["boxes"],
            },
            "scores": [{"name": MEASURE, "lower_is_better": False, "count": len(scored), "stage": FILTER,
                        "min": float(scored.min()), "max": float(scored.max())}],
            "kept": int(run.kept.sum()), "hidden": 0,
        }  # fmt: skip

    def map(self) -> dict[str, Any]:
        low, high = self.run.places.min(axis=0).tolist(), self.run.places.max(axis=0).tolist()
        about = {"name": "pca", "model": "tiny", "count": self.run.count, "axes": ["first", "second"]}
        return {**about, "bounds": [*low, *high]}

    def sample(self, key: str) -> dict[str, Any]:
        run = self.run
        row = run.place_of[key] if key in run.place_of else next(n for n, one in enumerate(run.ids) if one[:8] == key)
        relatives = [] if run.real[row] else [run.row(row % max(1, 2 * run.count // 5), {})]
        shapes = [{"c": "#ff0000", "b": [8, 8, 40, 40], "t": EVIL[0]}]
        return run.row(row, {}) | {
            "digest": "0" * 64, "source": run.file(row), "ref": "x", "note": EVIL[1], "seed": 7, "labelled_by": None,
            "scores": {MEASURE: None if run.real[row] else float(run.score[row])},
            "sampled_params": {"prompt": EVIL[0]},
            "generation_config": None if run.real[row] else {"generator": "tiny"}, "annotations": {},
            "annotations_told": {"boxes": EVIL[3]}, "shapes": shapes, "pictures": {}, "nearest": [], "judged": {},
            "life": {}, "parents": relatives, "children": [], "children_total": 0, "group": None,
            "decisions": [line for line in run.lines if line["id"] == run.ids[row]], "review_notes": [],
        }  # fmt: skip

    def facets(self, rows: np.ndarray) -> dict[str, Any]:
        run = self.run
        by = {"label": run.labels, "outcome": run.outcome, "origin": (~run.real).astype(int), "verdict": run.verdict}
        by |= {"stage": (~run.real).astype(int), "by": np.where(run.kept, -1, 0), "reason": np.where(run.kept, -1, 0)}
        found = {name: np.unique(codes[rows], return_counts=True) for name, codes in by.items()}
        told: dict[str, Any] = {name: np.transpose(counts).tolist() for name, counts in found.items()}
        return told | {"split": [], "annotation": [[0, len(rows)]]}

    def histogram(self, rows: np.ndarray, bins: int) -> dict[str, Any]:
        run = self.run
        edges = np.linspace(0.1, 0.5, bins + 1)
        has = rows[~np.isnan(run.score[rows])]
        counts = [np.histogram(run.score[part], edges)[0].tolist() for part in (has, has[run.kept[has]])]
        return {"edges": edges.tolist(), "counts": counts[0], "kept": counts[1], "missing": len(rows) - len(has)}

    def cut(self, options: dict[str, float]) -> dict[str, Any]:
        run, then = self.run, self.run.cut_of(options)
        come, go = then & ~run.kept, run.kept & ~then
        classes = [
            {"label": name, "was": int((run.kept & at).sum()), "stays": int((then & at).sum()),
             "come": int((come & at).sum()), "go": int((go & at).sum()), "go_kept": int((go & at).sum())}
            for name, at in ((name, run.labels == code) for code, name in enumerate(run.names))
        ]  # fmt: skip
        refill = {"stage": MAKER, "made": 100, "accepted": 90, "accepted_then": 80, "lost": 10, "tries": 13,
                  "seconds": 61.0, "device": "cpu", "classes": []}  # fmt: skip
        total = {"come": int(come.sum()), "go": int(go.sum()), "go_kept": int(go.sum()), "seen": int((~run.real).sum())}
        return {"stage": FILTER, **total, "stays": int((then & ~run.real).sum()), "unscored": 0, "classes": classes,
                "refill": [refill], "notes": ["later stages decide anew"], "seconds": 0.0}  # fmt: skip

    def ask(self, path: str, given: dict[str, list[str]], body: dict[str, Any] | None) -> Any:
        """The answer to a question to `api/`, JSON or numbers."""
        run, parts = self.run, path.split("/")
        first = {name: int(given[name][0]) for name in ("offset", "limit", "bins", "count") if name in given}
        if parts[0] == "query" and len(parts) == 1:
            return self.query(body or {})
        if parts[0] == "query":
            asked, rows = self.queries[parts[1]]
            offset = first.get("offset", 0)
            if parts[2] == "rows":
                return {
                    "offset": offset,
                    "rows": [run.row(int(n), asked) for n in rows[offset : offset + first["limit"]]],
                }
            if parts[2] == "position":
                at = np.flatnonzero(rows == run.place_of[given["id"][0]])
                return {"position": int(at[0]) if len(at) else None}
            if parts[2] == "index.i32":
                return rows.astype(np.int32)
            return self.facets(rows) if parts[2] == "facets" else self.histogram(rows, first["bins"])
        if parts[0] == "column":
            named = {"outcome": run.outcome, "label": run.labels, f"score:{MEASURE}": run.score, "verdict": run.verdict}
            return named[parts[1]]
        if parts[0] == "map":
            return run.places if parts[2] == "places.f32" else np.arange(run.count, dtype=np.int32)
        if path == "review" and body is not None:
            rows = (
                self.queries[body.pop("query")][1]
                if "query" in body
                else np.array([run.place_of[i] for i in body.pop("ids")])
            )
            return {"written": run.decide(body, rows), "file": "review.jsonl"}
        return self.simple(path, first, body)

    def simple(self, path: str, first: dict[str, int], body: dict[str, Any] | None) -> Any:
        """The answers that need no query."""
        run = self.run
        if path == "recipe/save":
            self.recipe = self.recipe.replace("0.27", str((body or {})["options"]["min"]))
        if path == "job" and body is not None:
            step = {
                "title": FILTER,
                "done": 3,
                "total": 10,
                "unit": "images",
                "rate": 2.5,
                "seconds_left": 3,
                "note": "",
            }
            self.job = {**self.job, "state": "running", "step": step}
        if path.startswith("sample/"):
            return self.sample(path[7:])
        pairs = [{"group": n, "size": 2, "rows": [run.row(2 * n, {}), run.row(2 * n + 1, {})]} for n in range(40)]
        offset = first.get("offset", 0)
        return {
            "search": lambda: {"text": True, "image": True, "model": "tiny", "why_not": ""},
            "maps": lambda: {"maps": [self.map()]},
            "recipe": lambda: {"path": "recipes/many.yaml", "text": self.recipe},
            "session": lambda: {"write_token": TOKEN, "read_only": self.read_only, "who": "Ada", "version": "1",
                                "compare": {"name": "other", "folder": "o"} if self.compare else None},
            "run": self.told,
            "cut": lambda: CUT if body is None else self.cut(body["options"]),
            "duplicates": lambda: {"total": 40, "groups": pairs[offset : offset + first.get("limit", 20)]},
            "review": lambda: {"file": "review.jsonl", "lines": len(run.lines), "who": ["Ada"], "digest": "",
                               "reviewed": int((run.verdict >= 0).sum()),
                               "verdicts": {"keep": int((run.verdict == 0).sum())}, "marked": int(run.marked.sum()),
                               "conflicts": 1, "gone": 0},
            "review/next": lambda: {"ids": [run.ids[n] for n in np.argsort(abs(run.score - 0.27))[: first["count"]]]},
            "review/conflicts": lambda: {"conflicts": [{"sample": run.row(1, {}), "lines": [
                {"who": EVIL[0], "verdict": "keep", "text": ""}, {"who": "Bo", "verdict": "drop", "text": EVIL[1]}]}]},
            "review/suggestions": lambda: {"suggestions": [SUGGESTED]},
            "recipe/preview": lambda: {"diff": DIFF % (body or {})["options"]["min"], "version": "v"},
            "recipe/save": lambda: {"diff": "", "version": "w"},
            "job": lambda: self.job,
            "upload": lambda: {"image": "u-1"},
            "compare": lambda: {"a": "many", "b": EVIL[0], "rows": [run.count, 9], "kept": [5, 4], "counts": [
                {"label": EVIL[1], "a": 3, "b": 2}], "moved": {"only-here": 3, "only-there": 1, "changed": 2},
                "histograms": [{"score": MEASURE, "edges": [0, 1, 2], "a": [3, 4], "b": [1, 2]}]},
        }[path]()  # fmt: skip


@cache
def picture(key: str) -> bytes:
    """A small picture whose colour is that of an id."""
    out = io.BytesIO()
    colour = tuple(int(key[place : place + 2] or "7f", 16) for place in (0, 2, 4))
    Image.new("RGB", (96, 72), colour).save(out, "WEBP", quality=50)
    return out.getvalue()


def static(path: str) -> bytes | None:
    """A file of the page, of the parts that it shares with the report, or the library of charts."""
    name = path.removeprefix("app/") or "index.html"
    report = name.startswith(("shared/", "vendor/"))
    file = (files("augforge.report") if report else files("augforge.view").joinpath("app")).joinpath(name)
    return file.read_bytes() if file.is_file() else None


class Handler(BaseHTTPRequestHandler):
    """Answers one connection. The class that is served has `site`."""

    site: FakeSite
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, kind: str, content: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", POLICY)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def json(self, value: Any, status: int = 200) -> None:
        self.answer(status, "application/json", json.dumps(value).encode())

    def respond(self) -> None:
        url = urlsplit(self.path)
        path, given = unquote(url.path).lstrip("/"), parse_qs(url.query)
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if length else b""
        self.site.asked.append(f"{self.command} {path}")
        refused = next((told for start, told in self.site.refuse.items() if path.startswith(start)), None)
        if refused:
            return self.json(refused[1], refused[0])
        if self.command != "GET" and self.headers.get("X-Augforge-Token") != TOKEN:
            return self.json({"error": "no token", "hint": "", "kind": "forbidden"}, 403)
        path = path.removeprefix("b/")
        if path.startswith(("thumb/", "image/")):
            return self.answer(200, "image/webp", picture(path.split("/")[1][:6]), Cache_Control="max-age=600")
        if not path.startswith("api/"):
            content = static(path)
            kind = KINDS.get(path.rpartition(".")[2], KINDS["html"])
            return self.answer(200, kind, content) if content else self.json({"error": "no such file"}, 404)
        is_json = self.headers.get("Content-Type") == "application/json"
        body = json.loads(raw) if raw and is_json else ({} if self.command == "POST" else None)
        if self.command == "DELETE":
            self.site.job = {**self.site.job, "state": "stopped"}
        told = self.site.ask(path[4:], given, body)
        if isinstance(told, np.ndarray):
            shape = ",".join(map(str, told.shape))
            return self.answer(200, "application/octet-stream", told.tobytes(), X_Shape=shape, X_Dtype=str(told.dtype))
        return self.json(told)

    do_GET = do_POST = do_DELETE = respond

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""


class Serving:
    """The server in a thread, at `url`, until `close`."""

    def __init__(self, site: FakeSite) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("OfSite", (Handler,), {"site": site}))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
