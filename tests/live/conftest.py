"""Tests against services themselves, where a key of one is given: `STRIPE_TEST_KEY=sk_test_... pytest -m live tests/live`.

Without its key a suite is not collected. ``STRIPE_TEST_URL`` names another address, such as that of a fake.
"""

import os

import pytest
import pytest_socket

STRIPE_KEY = os.environ.get("STRIPE_TEST_KEY", "")
STRIPE_URL = os.environ.get("STRIPE_TEST_URL", "")
TEST_KEYS = ("sk_test_", "rk_test_")

collect_ignore = [] if STRIPE_KEY.startswith(TEST_KEYS) else ["test_stripe_sandbox.py"]


@pytest.fixture(autouse=True)
def _loopback_only() -> None:
    """Here sockets reach further."""
    pytest_socket.enable_socket()


@pytest.fixture
def stripe_key() -> str:
    return STRIPE_KEY


@pytest.fixture
def stripe_url() -> str:
    return STRIPE_URL
