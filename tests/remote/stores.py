"""Object stores for tests: fsspec's in memory, and an S3 server of moto on loopback."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from augforge.remote import objects

NUMBERS = itertools.count()


def files_of(root: Path) -> Iterator[tuple[str, bytes]]:
    """Path inside and bytes of every file below a folder; of a file, its own."""
    if root.is_file():
        yield root.name, root.read_bytes()
    for path in sorted(root.rglob("*")) if root.is_dir() else ():
        if path.is_file():
            yield path.relative_to(root).as_posix(), path.read_bytes()


class Memory:
    """fsspec's file system in memory; a folder of its own for each test."""

    def __init__(self) -> None:
        self.root = f"memory://bucket-{next(NUMBERS)}"
        self._fs = fsspec.filesystem("memory")

    def put(self, name: str, data: bytes) -> None:
        """Write an object."""
        self._fs.pipe_file(f"{self.root}/{name}", data)

    def remove(self, name: str) -> None:
        """Remove an object."""
        self._fs.rm(f"{self.root}/{name}")


class Bucket:
    """A bucket of an S3 server, written through boto3, which augforge does not use."""

    def __init__(self, endpoint: str) -> None:
        import boto3

        self.name = f"bucket-{next(NUMBERS)}"
        self.root = f"s3://{self.name}"
        self.client: Any = boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )
        self.client.create_bucket(Bucket=self.name)

    def put(self, name: str, data: bytes) -> None:
        """Write an object."""
        self.client.put_object(Bucket=self.name, Key=name, Body=data)

    def remove(self, name: str) -> None:
        """Remove an object."""
        self.client.delete_object(Bucket=self.name, Key=name)


def put_all(store: Memory | Bucket, source: Path, inside: str) -> str:
    """Write a folder, or a file, below `inside`; its URL."""
    for name, data in files_of(source):
        store.put(f"{inside}/{name}", data)
    return f"{store.root}/{inside}" + (f"/{source.name}" if source.is_file() else "")


def speak_to(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process find an S3 server in its environment, and nothing of what it knew of another."""
    for name, value in environment(endpoint).items():
        monkeypatch.setenv(name, value)
    objects._objects.cache_clear()


def environment(endpoint: str) -> dict[str, str]:
    """What a process has to find in its environment to speak to a server of moto."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
