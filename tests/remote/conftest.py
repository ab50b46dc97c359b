"""One S3 server for all tests of this folder, and stores that are empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from augforge.remote import objects
from tests.remote.faulty import Proxy, proxied
from tests.remote.stores import Bucket, Memory, speak_to


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of an S3 server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket, which this process finds."""
    speak_to(s3_endpoint, monkeypatch)
    return Bucket(s3_endpoint)


@pytest.fixture
def memory() -> Memory:
    """An empty store in memory."""
    return Memory()


@pytest.fixture
def faulty(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bucket, Proxy]]:
    """An empty bucket, and the proxy through which this process finds it."""
    with proxied(s3_endpoint) as proxy:
        speak_to(proxy.url, monkeypatch)
        yield Bucket(s3_endpoint), proxy
        objects._objects.cache_clear()
