"""What happens when an object store fails, refuses, or does not answer."""

from __future__ import annotations

import time

import pytest

from augforge.errors import RemoteError
from augforge.io import detect, open_source
from augforge.remote import faults, objects
from tests.conftest import write_images
from tests.remote.faulty import FINE, SLOW_DOWN, Fault, Proxy, down_for, every
from tests.remote.stores import Bucket, put_all


@pytest.fixture
def photos(faulty: tuple[Bucket, Proxy], tmp_path) -> tuple[str, Proxy, dict[str, bytes]]:
    """The URL of a folder of images, the proxy before it, and the bytes of the images."""
    bucket, proxy = faulty
    root = write_images(tmp_path / "set", {"cat": 2, "dog": 1})
    url = put_all(bucket, root, "set")
    return url, proxy, {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.png")}


def read_all(url: str) -> dict[str, bytes]:
    source = open_source(*detect(url))
    return {entry.locator: source.read(entry.locator) for entry in source.entries()}


@pytest.mark.parametrize(
    "fault",
    [
        SLOW_DOWN,
        Fault(cut=True),
        pytest.param(Fault(deaf=True), marks=pytest.mark.slow),
        pytest.param(Fault(500, "InternalError"), marks=pytest.mark.slow),
        pytest.param(Fault(400, "RequestTimeout"), marks=pytest.mark.slow),
        pytest.param(Fault(429, "TooManyRequests"), marks=pytest.mark.slow),
    ],
    ids=["503", "cut", "closed", "500", "timeout", "429"],
)
def test_what_passes_costs_nothing_but_time(photos, fault):
    url, proxy, expected = photos
    proxy.plan = every(3, fault)
    assert read_all(url) == expected
    assert len(proxy.seen) > len(expected)


def test_a_server_that_is_gone_for_a_while(photos):
    url, proxy, expected = photos
    proxy.plan = down_for(1.0)
    assert read_all(url) == expected


def test_without_another_try_it_fails(photos, monkeypatch):
    """The tries are what does it: with no patience the same faults end the reading."""
    url, proxy, _ = photos
    monkeypatch.setattr(faults, "PATIENCE", 0.0)
    proxy.plan = every(3, SLOW_DOWN)
    with pytest.raises(RemoteError, match=r"did not answer in 0 s .SlowDown: as the test wants it.$"):
        read_all(url)


def test_a_server_that_stays_away_is_said_in_time(photos, monkeypatch):
    url, proxy, _ = photos
    monkeypatch.setattr(faults, "PATIENCE", 1.0)
    proxy.plan = lambda request: SLOW_DOWN
    began = time.monotonic()
    with pytest.raises(RemoteError, match=r"^s3://.* cannot be .*: the store did not answer in 1 s") as raised:
        read_all(url)
    assert time.monotonic() - began < 5 and "run the same command" in raised.value.hint


def test_an_image_that_cannot_be_fetched_is_no_bad_image(photos, monkeypatch):
    """It would be remembered as one: the run ends instead, and the next one reads it."""
    url, proxy, expected = photos
    source = open_source("folder", url)
    locators = [entry.locator for entry in source.entries()]
    monkeypatch.setattr(faults, "PATIENCE", 0.5)
    proxy.plan = lambda request: SLOW_DOWN
    with pytest.raises(RemoteError):
        source.read(locators[0])
    proxy.plan = lambda request: FINE
    assert source.read(locators[0]) == expected[locators[0]]


@pytest.mark.parametrize("code", ["AccessDenied", "ExpiredToken", "SignatureDoesNotMatch"])
def test_a_refusal_is_said_at_once(photos, code):
    url, proxy, _ = photos
    proxy.plan = lambda request: Fault(403, code)
    with pytest.raises(RemoteError, match=r"^s3://.*: access is denied \(.*\)$") as raised:
        read_all(url)
    assert len(proxy.seen) <= 2 and "credentials" in raised.value.hint


def test_no_credentials(photos, monkeypatch):
    url, _, _ = photos
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    objects._objects.cache_clear()
    with pytest.raises(RemoteError, match="no credentials were found") as raised:
        read_all(url)
    assert "AWS_PROFILE" in raised.value.hint and "FSSPEC_S3_ANON" in raised.value.hint


def test_an_endpoint_where_nobody_listens(photos, monkeypatch):
    url, _, _ = photos
    monkeypatch.setattr(faults, "PATIENCE", 0.5)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    objects._objects.cache_clear()
    with pytest.raises(RemoteError, match=r"did not answer in [01] s"):
        read_all(url)


def test_a_defect_is_no_failure_of_a_store():
    def wrong() -> None:
        raise TypeError("a defect")

    with pytest.raises(TypeError):
        faults.steadily("x", wrong)
