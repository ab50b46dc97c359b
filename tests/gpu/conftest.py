"""Where the GPU's tests run: on CUDA, or where AUGFORGE_TEST_DEVICE says, so that they can be proven on a CPU."""

from __future__ import annotations

import os

import pytest

from tests.models.conftest import checkpoint, opened

__all__ = ["checkpoint", "opened"]


@pytest.fixture(scope="session")
def device() -> str:
    """ "cuda" unless AUGFORGE_TEST_DEVICE says "cpu"."""
    return os.environ.get("AUGFORGE_TEST_DEVICE", "cuda")
