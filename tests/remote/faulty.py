"""A proxy before an S3 server that does what stores on a bad day do."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

LEFT_OUT = ("connection", "transfer-encoding", "content-length", "date", "server")


@dataclass(frozen=True)
class Request:
    """A request as a fault sees it; `number` counts all of them from 1."""

    number: int
    method: str
    path: str


@dataclass(frozen=True)
class Fault:
    """What happens to a request.

    Args:
        status: answer this instead of asking the store; 0 asks it.
        code: the code of S3 in that answer.
        seconds: wait so long first.
        cut: send only half of the answer, and close.
        deaf: close before the store is asked.
        mute: ask the store, and close without an answer.
    """

    status: int = 0
    code: str = ""
    seconds: float = 0.0
    cut: bool = False
    deaf: bool = False
    mute: bool = False


FINE = Fault()
SLOW_DOWN = Fault(503, "SlowDown")
Plan = Callable[[Request], Fault]


@dataclass
class Proxy:
    """The proxy of a server; `plan` says what happens to each request, and `seen` has them all."""

    target: str
    plan: Plan = lambda request: FINE
    seen: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def noted(self, method: str, path: str) -> Request:
        """The request, with its number."""
        with self.lock:
            request = Request(len(self.seen) + 1, method, path)
            self.seen.append(request)
            return request


@contextmanager
def proxied(target: str) -> Iterator[Proxy]:
    """A proxy in front of a server, for as long as the block lasts."""
    proxy = Proxy(target)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy))
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def every(number: int, fault: Fault) -> Plan:
    """A plan in which each so-manyth request goes wrong."""
    return lambda request: FINE if request.number % number else fault


def down_for(seconds: float) -> Plan:
    """A plan in which nothing is answered for a while from now on."""
    until = time.monotonic() + seconds
    return lambda request: Fault(deaf=True) if time.monotonic() < until else FINE


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _do(self) -> None:
            if self.headers.get("Expect", "").lower() == "100-continue":
                self.send_response_only(100)
                self.end_headers()
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size)
            fault = proxy.plan(proxy.noted(self.command, self.path))
            time.sleep(fault.seconds)
            if fault.deaf:
                self.close_connection = True
                return
            status, headers, answer = self._refused(fault) if fault.status else self._asked(body)
            if fault.mute:
                self.close_connection = True
                return
            self._say(status, headers, answer, fault.cut and len(answer) > 1)

        def _refused(self, fault: Fault) -> tuple[int, dict[str, str], bytes]:
            text = f"<Error><Code>{fault.code}</Code><Message>as the test wants it</Message></Error>"
            return fault.status, {"Content-Type": "application/xml"}, text.encode()

        def _asked(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            place = urlsplit(proxy.target)
            connection = http.client.HTTPConnection(str(place.hostname), int(place.port or 80), timeout=30)
            headers = {
                name: value for name, value in self.headers.items() if name.lower() not in ("connection", "expect")
            }
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in LEFT_OUT}
            if self.command == "HEAD":
                kept["Content-Length"] = answer.getheader("Content-Length") or "0"
            connection.close()
            return answer.status, kept, content

        def _say(self, status: int, headers: dict[str, str], answer: bytes, cut: bool) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer[: len(answer) // 2] if cut else answer)
            self.close_connection = self.close_connection or cut

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _do

    return Handler
