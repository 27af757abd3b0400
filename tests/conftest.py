"""For every test: sockets reach loopback only, and a skipped test fails the run."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest
import pytest_socket

from tests.postgres import TEMPLATE, Server, database_of, make_template, running_postgres

# The same examples each time, and no clock: a slow machine is no fault of the code.
hypothesis.settings.register_profile(
    "house", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")

# What it compares is shown where it differs, as in a test.
pytest.register_assert_rewrite("tests.stripe_world")

LOOPBACK = ["127.0.0.1", "::1", "localhost"]


@pytest.fixture(autouse=True)
def _loopback_only() -> None:
    pytest_socket.socket_allow_hosts(LOOPBACK, allow_unix_socket=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = len(terminalreporter.stats.get("skipped", []))
    terminalreporter.write_line(f"skipped: {skipped}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    # A skipped test is not a passed one.
    if reporter is not None and reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for all tests; each has a database of its own there."""
    with running_postgres() as server:
        asyncio.run(make_template(server))
        yield server


@pytest.fixture
async def postgres_database(postgres: Server) -> AsyncIterator[str]:
    """The name of a database with an empty ledger."""
    async with database_of(postgres, TEMPLATE) as name:
        yield name
