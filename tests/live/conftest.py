"""Tests against services themselves, where a key of one is given: `STRIPE_TEST_KEY=sk_test_... pytest -m live tests/live`.

Without its key a suite is not collected. ``STRIPE_TEST_URL`` names another address, such as that of a fake.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NoReturn

import pytest
import pytest_socket

from tests.stripe_place import live_place
from tests.stripe_world import World, open_world

STRIPE_KEY = os.environ.get("STRIPE_TEST_KEY", "")
STRIPE_URL = os.environ.get("STRIPE_TEST_URL", "")
TEST_KEYS = ("sk_test_", "rk_test_")

collect_ignore = [] if STRIPE_KEY.startswith(TEST_KEYS) else ["test_stripe_sandbox.py"]


@pytest.fixture(autouse=True)
def _loopback_only() -> None:
    """Here sockets reach further."""
    pytest_socket.enable_socket()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(live_place(STRIPE_KEY, STRIPE_URL, _cannot), tmp_path) as opened:
        yield opened


def _cannot(why: str) -> NoReturn:
    pytest.skip(f"not in this account: {why}")
