"""Who may ask, and what: every refusal, of every address."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from augforge.view.guard import HEADER, LARGEST, READS
from augforge.view.routes import ROUTES
from augforge.view.server import application
from tests.view.conftest import BASE

WRITES = [(route.method, route.path) for route in ROUTES if route.method != "GET"]


def plain(path: str) -> str:
    """An address with something in the place of what varies."""
    return re.sub(r"\{[^}]+\}", "x", path)


@pytest.mark.parametrize(
    "path", ["/", "/app/main.js", *(plain(route.path) for route in ROUTES if route.method == "GET")]
)
def test_nothing_is_shown_without_the_token(page, path):
    stranger = TestClient(application(page.served), base_url=BASE)
    assert stranger.get(path).status_code == 401
    assert stranger.get(path, params={"token": "x" * 32}).status_code == 401
    stranger.cookies.set(page.served.tokens.cookie, "x" * 32)
    assert stranger.get(path).status_code == 401


def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(page):
    stranger = TestClient(application(page.served), base_url=BASE, follow_redirects=False)
    entered = stranger.get("/", params={"token": page.served.tokens.read})
    home = f"/{page.served.tokens.place}/"
    assert (entered.status_code, entered.headers["location"]) == (303, home)
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
    for path in ("", "api/run", "app/main.js"):
        assert stranger.get(home + path).status_code == 200


def test_the_cookie_is_not_sent_to_the_server_of_somebody_else_on_another_port(page):
    """Browsers send the cookies of a host to all of its ports; not those of a path that they do not ask for."""
    stranger = TestClient(application(page.served), base_url=BASE, follow_redirects=False)
    stranger.get("/", params={"token": page.served.tokens.read})
    asked = stranger.build_request("GET", "http://127.0.0.1:9999/")
    assert "cookie" not in asked.headers
    assert "cookie" in stranger.build_request("GET", f"{BASE}/{page.served.tokens.place}/api/run").headers


def test_the_place_of_the_page_is_no_token(page):
    stranger = TestClient(application(page.served), base_url=BASE)
    home = f"/{page.served.tokens.place}/"
    assert page.served.tokens.read not in home and page.served.tokens.write not in home
    assert stranger.get(home).status_code == 401 and "json" not in stranger.get(home).headers["content-type"]
    assert stranger.get(f"{home}api/session").status_code == 401
    posted = stranger.post(f"{home}api/query", json={}, headers={HEADER: page.served.tokens.write})
    assert posted.status_code == 401


def test_read_only_holds_below_the_place_of_the_page_too(opened, hostile):
    page = opened(hostile, read_only=True)
    home = f"/{page.served.tokens.place}"
    assert page.post(f"{home}/api/query", {}).status_code == 200
    assert page.post(f"{home}/api/job", {"kind": "run"}).status_code == 403


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8421",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "",
        "10.0.0.1:8421",
        "[::1",
        "127.0.0.1:x/",
    ],
)
def test_another_name_that_leads_here_is_refused(page, host):
    """DNS rebinding: a page of evil.example that has its name point to this machine."""
    answer = page.client.get("/api/run", headers={"host": host})
    assert (answer.status_code, answer.json()["kind"]) == (403, "forbidden")


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "localhost:8421", "LOCALHOST", "[::1]:8421"])
def test_the_other_end_of_a_tunnel_may_have_another_port(page, host):
    assert page.client.get("/api/session", headers={"host": host}).status_code in (200, 401)
    answer = page.client.get(
        "/api/session", headers={"host": host, "cookie": f"{page.served.tokens.cookie}={page.served.tokens.read}"}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost:8421", "file://"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_page_is_refused_though_the_browser_sends_the_cookie(page, origin, method):
    answer = page.client.request(
        method, "/api/query", headers={"origin": origin, HEADER: page.served.tokens.write}, json={}
    )
    assert answer.status_code == 403


def test_the_page_itself_may(page):
    assert page.post("/api/query", {}, origin=BASE).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_picture_that_another_site_shows_is_refused(page, site):
    assert page.client.get("/api/run", headers={"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}).status_code == 403


def test_a_link_to_the_page_may_stand_anywhere(page):
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    for token, status in ((page.served.tokens.read, 200), ("x" * 32, 401)):
        answer = page.client.get("/", params={"token": token}, headers=headers)
        assert answer.status_code == status and token not in answer.text
        assert ("set-cookie" in answer.headers) == (status == 200)


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_whatever_is_no_get_needs_the_second_token(page, method, path):
    for given in ({}, {HEADER: ""}, {HEADER: page.served.tokens.read}, {HEADER: "x" * 32}):
        answer = page.client.request(
            method, plain(path), headers={"content-type": "application/json", **given}, content=b"{}"
        )
        assert (answer.status_code, answer.json()["kind"]) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_read_only_refuses_all_that_writes(opened, hostile, tmp_path, method, path):
    page = opened(hostile, read_only=True)
    answer = page.post(plain(path), {}, method)
    assert (answer.status_code == 403) == (path not in READS)
    assert not (tmp_path / "review.jsonl").exists()


def test_a_form_of_another_page_cannot_be_json(page):
    answer = page.post("/api/review", b"{}", **{"content-type": "text/plain"})
    assert answer.status_code == 415


def test_too_large_a_body_is_refused_said_or_unsaid(page):
    body = b" " * (LARGEST + 1)
    assert page.post("/api/query", body).status_code == 413

    def unsaid():
        yield from (body[:1_000_000] for _ in range(LARGEST // 1_000_000 + 1))

    given = {HEADER: page.served.tokens.write, "content-type": "application/json"}
    assert page.client.post("/api/query", content=unsaid(), headers=given).status_code == 413


@pytest.mark.parametrize("path", ["/", "/api/run", "/nothing", "/app/../guard.py"])
def test_every_answer_says_what_a_browser_may_do_with_it(page, path):
    headers = page.client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"


def test_a_notebook_has_the_token_in_the_path_and_may_frame_the_page(page):
    stranger = TestClient(application(page.served), base_url=BASE)
    token = page.served.tokens.read
    framed = stranger.get(f"/~{token}/api/session", headers={"sec-fetch-site": "same-origin"})
    assert framed.status_code == 200 and "x-frame-options" not in framed.headers
    assert "frame-ancestors http://localhost:*" in framed.headers["content-security-policy"]
    assert stranger.get("/~wrong/api/session").status_code == 401
    assert stranger.get(f"/~{token}").status_code == 401
    assert "set-cookie" not in framed.headers


@pytest.mark.parametrize(
    "path",
    [
        "../guard.py",
        "..%2fguard.py",
        "%2e%2e/guard.py",
        "../../../etc/passwd",
        "//etc/passwd",
        ".hidden",
        "a\\..\\b.js",
        "guard.py",
        "",
    ],
)
def test_nothing_but_files_of_the_page_is_served_below_app(page, path):
    answer = page.client.get(f"/app/{path}")
    assert answer.status_code == 404 and b"import" not in answer.content


def test_an_address_that_is_not_there_and_a_method_that_is_not_are_json(page):
    assert page.get("/api/nothing").json()["kind"] == "not-found"
    assert page.post("/api/run", {}).json()["kind"] == "bad-request"


def test_every_post_that_is_said_to_read_is_an_address(page):
    assert {path for _, path in WRITES} | {"/api/recipe/preview"} >= READS
