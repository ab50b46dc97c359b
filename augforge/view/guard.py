"""Who may ask the server, and what: the machine itself, with the token, from the page itself.

Four things are checked before a request goes on. The name in `Host` is one of this machine, so that no foreign name
can be made to point here (DNS rebinding). `Origin` and `Sec-Fetch-Site`, where a browser sends them, are those of the
page. The token is there: in the cookie, or in the path (`/~TOKEN/`) where the page is in the frame of a notebook,
which gets no cookie. The cookie is that of a path that nobody else knows, as browsers send those of a host to all of
its ports. Whatever is no GET has the second token in a header, which only the page can read and send.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
HEADER = "x-augforge-token"
READS = frozenset({"/api/query", "/api/lasso", "/api/cut", "/api/upload", "/api/recipe/preview"})
"""What is posted and changes nothing; every other POST, PUT or DELETE is refused where nothing may be changed."""
LARGEST = 20_000_000
"""Bytes of a request."""
FRAMES = "http://localhost:* http://127.0.0.1:* https://localhost:* vscode-webview:"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {frames}"
)
COMMON = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
ONWARD = '<!doctype html><title>augforge view</title><meta http-equiv="refresh" content="0;url={}">'
NO_TOKEN = "open the address that `augforge view` printed: it has a token, without which nothing is shown"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The secrets of one server: `read` is in its address and cookie, `write` is told to the page alone."""

    read: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    write: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    cookie: str = field(default_factory=lambda: f"augforge-view-{secrets.token_hex(4)}")
    """What the cookie is called: browsers keep one set of cookies for all servers of a machine."""
    place: str = field(default_factory=lambda: secrets.token_hex(6))
    """Below which path the page is, and its cookie: it is sent to no other server of the machine."""


class Guard:
    """Lets requests through to `app` that may come, and adds to every answer what a browser may do with it."""

    def __init__(self, app: ASGIApp, tokens: Tokens, read_only: bool = False) -> None:
        self._app, self._tokens, self._read_only = app, tokens, read_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a web socket is closed
        headers, framed = Headers(scope=scope), self._unframe(scope)
        if not framed and scope["path"].startswith(f"/{self._tokens.place}/"):
            _shorten(scope, scope["path"].removeprefix(f"/{self._tokens.place}"))
        answer = self._refused(scope, headers, framed)
        sending = _with_headers(send, framed)
        await (answer or self._app)(scope, receive, sending)

    def _unframe(self, scope: Scope) -> bool:
        """Whether the path begins with the token; if so it is taken off."""
        first, slash, rest = scope["path"].removeprefix("/").partition("/")
        if not (first.startswith("~") and slash and _same(first[1:], self._tokens.read)):
            return False
        _shorten(scope, f"/{rest}")
        return True

    def _refused(self, scope: Scope, headers: Headers, framed: bool) -> Response | None:
        """What is answered in place of the app; None where the request may go on."""
        if why := _foreign(scope, headers):
            return _error(403, "forbidden", why)
        if not framed:
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token")
            if scope["path"] == "/" and given is not None:
                return self._entered(given[0], headers)
            if not _same(_cookie(headers, self._tokens.cookie), self._tokens.read):
                page = scope["path"].endswith("/")  # also that of a server before this one
                return PlainTextResponse(NO_TOKEN, 401) if page else _error(401, "no-token", NO_TOKEN)
        if scope["method"] not in ("GET", "HEAD"):
            return self._refused_write(scope, headers)
        return None

    def _entered(self, token: str, headers: Headers) -> Response:
        """The token for a cookie, and on to the page.

        To a redirect that began at a link of another site no strict cookie is sent; a page of our own that leads on
        has it sent.
        """
        if not _same(token, self._tokens.read):
            return PlainTextResponse(NO_TOKEN, 401)
        linked = headers.get("sec-fetch-site") == "cross-site"
        home = f"/{self._tokens.place}/"
        answer: Response = HTMLResponse(ONWARD.format(home)) if linked else RedirectResponse(home, 303)
        answer.set_cookie(self._tokens.cookie, self._tokens.read, httponly=True, samesite="strict", path=home)
        return answer

    def _refused_write(self, scope: Scope, headers: Headers) -> Response | None:
        if not _same(headers.get(HEADER, ""), self._tokens.write):
            return _error(403, "forbidden", f"the header {HEADER} is missing or wrong", "load the page again")
        if self._read_only and scope["path"].removeprefix("/b") not in READS:
            return _error(403, "forbidden", "this server was started with --read-only")
        kind = headers.get("content-type", "").partition(";")[0].strip()
        wanted = "application/octet-stream" if scope["path"].endswith("/upload") else "application/json"
        if scope["method"] == "POST" and kind != wanted:
            return _error(415, "unsupported", f"the body is to be {wanted}")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > LARGEST:
            return _error(413, "too-large", f"a request has at most {LARGEST:,} bytes")
        return None


def _shorten(scope: Scope, path: str) -> None:
    """Have a request be one for `path`."""
    scope["path"], scope["raw_path"] = path, path.encode()


def _foreign(scope: Scope, headers: Headers) -> str:
    """Why a request is not from the page or its user; "" where it may be."""
    host = headers.get("host", "")
    if _name_of(host) not in HOSTS:
        return "this server answers to 127.0.0.1 and localhost alone"
    origin = headers.get("origin")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        return "this request comes from another page"
    entering = scope["method"] == "GET" and scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not entering:
        return "this request comes from another site"
    return ""


def _name_of(host: str) -> str:
    """The name in a Host header, without its port; "" if it is none."""
    try:
        return urlsplit(f"//{host}").hostname or "" if "@" not in host and "/" not in host else ""
    except ValueError:
        return ""


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode(), secret.encode())


def _error(status: int, kind: str, message: str, hint: str = "") -> Response:
    return JSONResponse({"error": message, "hint": hint, "kind": kind}, status)


def _with_headers(send: Send, framed: bool) -> Send:
    """Adds what a browser may do with an answer."""
    frames = FRAMES if framed else "'none'"

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in COMMON.items():
                headers[name] = value
            headers["content-security-policy"] = POLICY.format(frames=frames)
            if not framed:
                headers["x-frame-options"] = "DENY"
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return sending
