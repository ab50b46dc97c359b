"""Object stores in memory behind HTTP, which keep the conditions of their kind as its reference describes them.

They know the requests that augforge and fsspec make, and no signatures, no listings in pages, no uploads in parts. The
slow tests hold them against servers that others have written.
"""

from __future__ import annotations

import json
import re
import threading
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

Answer = tuple[int, Mapping[str, str], bytes]


@dataclass(frozen=True)
class Thing:
    """An object: its bytes, a number that no other write has, and when it was written."""

    content: bytes
    number: int
    written: float = field(default_factory=time.time)


@dataclass
class Kept:
    """Buckets of objects by name; `heeds` is false in a store that ignores conditions."""

    buckets: dict[str, dict[str, Thing]] = field(default_factory=dict)
    heeds: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)
    last: int = 1_000

    def write(self, bucket: str, key: str, content: bytes) -> Thing:
        """Write an object; the caller holds the lock."""
        self.last += 1
        thing = self.buckets[bucket][key] = Thing(content, self.last)
        return thing


class Handler(BaseHTTPRequestHandler):
    """One request to a store."""

    protocol_version = "HTTP/1.1"
    kept: Kept

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is told."""

    @abstractmethod
    def answer(self, path: str, asked: dict[str, str], body: bytes) -> Answer:
        """What a request is answered; it holds the lock of the store."""

    def do(self) -> None:
        """Read the request, and answer it."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        with self.kept.lock:
            status, headers, content = self.answer(parts.path, dict(parse_qsl(parts.query)), body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = do

    def ranged(self, thing: Thing, headers: Mapping[str, str]) -> Answer:
        """The bytes of an object, or those that are asked for."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("x-ms-range") or self.headers.get("Range") or "")
        if asked is None or not thing.content:
            return 200, headers, thing.content
        start, end = int(asked[1]), min(int(asked[2] or 1 << 60), len(thing.content) - 1)
        place = {"Content-Range": f"bytes {start}-{end}/{len(thing.content)}"}
        return 206, {**headers, **place}, thing.content[start : end + 1]


def listed(things: Mapping[str, Thing], prefix: str, delimiter: str) -> tuple[dict[str, Thing], list[str]]:
    """The objects whose keys begin with a prefix, and the folders among them."""
    found, folders = {}, set()
    for key in sorted(things):
        if key.startswith(prefix):
            inside = key[len(prefix) :]
            if delimiter and delimiter in inside:
                folders.add(prefix + inside.partition(delimiter)[0] + delimiter)
            else:
                found[key] = things[key]
    return found, sorted(folders)


class GoogleHandler(Handler):
    """The JSON API of Google Cloud Storage: generations, and `ifGenerationMatch`."""

    def answer(self, path: str, asked: dict[str, str], body: bytes) -> Answer:
        """An object, a listing or an upload."""
        found = re.fullmatch(r"(?:/upload|/download)?/storage/v1/b/([^/]+)(/o)?(?:/(.+))?", path)
        bucket = unquote(found[1]) if found else ""
        if found is None or bucket not in self.kept.buckets:
            return _missing()
        things, key = self.kept.buckets[bucket], unquote(found[3] or "")
        if not found[2]:
            return _json({"name": bucket})
        if self.command == "POST":
            return self._uploaded(bucket, asked, body)
        if not key:
            here, folders = listed(things, asked.get("prefix", ""), asked.get("delimiter", ""))
            return _json({"items": [_facts(bucket, *one) for one in here.items()], "prefixes": folders})
        thing = things.get(key)
        if thing is None or asked.get("generation", str(thing.number)) != str(thing.number):
            return _missing()
        if self.command == "DELETE":
            del things[key]
            return 204, {}, b""
        return self.ranged(thing, {}) if asked.get("alt") == "media" else _json(_facts(bucket, key, thing))

    def _uploaded(self, bucket: str, asked: dict[str, str], body: bytes) -> Answer:
        kind = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        facts, content = message_from_bytes(kind + body).get_payload()
        key = json.loads(facts.get_payload())["name"]
        there = self.kept.buckets[bucket].get(key)
        wanted = asked.get("ifGenerationMatch")
        if self.kept.heeds and wanted is not None and wanted != str(there.number if there else 0):
            return 412, {}, json.dumps({"error": {"code": 412, "message": "conditionNotMet"}}).encode()
        return _json(_facts(bucket, key, self.kept.write(bucket, key, content.get_payload(decode=True))))


def _facts(bucket: str, key: str, thing: Thing) -> dict[str, str]:
    written = datetime.fromtimestamp(thing.written, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    facts = {"name": key, "bucket": bucket, "size": str(len(thing.content)), "generation": str(thing.number)}
    return {**facts, "timeCreated": written, "updated": written}


def _json(plain: object) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(plain).encode()


def _missing() -> Answer:
    return 404, {}, json.dumps({"error": {"code": 404, "message": "No such object"}}).encode()


class AzureHandler(Handler):
    """The blobs of Azure: `If-None-Match: *`, `If-Match`, 409 where a blob is there and 412 where it is another."""

    def answer(self, path: str, asked: dict[str, str], body: bytes) -> Answer:
        """A blob or a listing."""
        _, container, key = ([unquote(part) for part in path.split("/", 3)[1:]] + [""])[:3]
        if container not in self.kept.buckets:
            return _refused(404, "ContainerNotFound")
        things = self.kept.buckets[container]
        if not key:
            if asked.get("comp") != "list":
                return 200, {"ETag": '"0"', "Last-Modified": formatdate(0, usegmt=True)}, b""
            return 200, {"Content-Type": "application/xml"}, _listing(container, things, asked)
        thing = things.get(key)
        if self.command == "PUT":
            return self._uploaded(container, key, thing, body)
        if thing is None:
            return _refused(404, "BlobNotFound")
        if self.command == "DELETE":
            del things[key]
            return 202, {}, b""
        facts = {**_written(thing), "x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream"}
        if self.command == "HEAD":
            return 200, {**facts, "Content-Length": str(len(thing.content))}, b""
        return self.ranged(thing, facts)

    def _uploaded(self, container: str, key: str, there: Thing | None, body: bytes) -> Answer:
        if self.kept.heeds:
            if self.headers.get("If-None-Match") == "*" and there:
                return _refused(409, "BlobAlreadyExists")
            if (wanted := self.headers.get("If-Match")) and (there is None or _etag(there) != wanted):
                return _refused(412, "ConditionNotMet")
        return 201, _written(self.kept.write(container, key, body)), b""


def _etag(thing: Thing) -> str:
    return f'"0x{thing.number:X}"'


def _written(thing: Thing) -> dict[str, str]:
    return {"ETag": _etag(thing), "Last-Modified": formatdate(thing.written, usegmt=True)}


def _refused(status: int, code: str) -> Answer:
    text = f"<?xml version='1.0' encoding='utf-8'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
    return status, {"x-ms-error-code": code, "Content-Type": "application/xml"}, text.encode()


def _listing(container: str, things: Mapping[str, Thing], asked: Mapping[str, str]) -> bytes:
    here, folders = listed(things, asked.get("prefix", ""), asked.get("delimiter", ""))
    blobs = "".join(
        f"<Blob><Name>{escape(key)}</Name><Properties><Etag>{_etag(thing).strip(chr(34))}</Etag>"
        f"<Last-Modified>{formatdate(thing.written, usegmt=True)}</Last-Modified><BlobType>BlockBlob</BlobType>"
        f"<Content-Length>{len(thing.content)}</Content-Length></Properties></Blob>"
        for key, thing in here.items()
    )
    blobs += "".join(f"<BlobPrefix><Name>{escape(folder)}</Name></BlobPrefix>" for folder in folders)
    whole = f"<EnumerationResults ContainerName='{container}'><Blobs>{blobs}</Blobs><NextMarker /></EnumerationResults>"
    return f"<?xml version='1.0' encoding='utf-8'?>{whole}".encode()


@contextmanager
def served(kind: type[Handler]) -> Iterator[tuple[str, Kept]]:
    """The address of a store for as long as the block lasts, and what it keeps."""
    kept = Kept()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (kind,), {"kept": kept}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
