"""One big log for all the verifiers."""

import asyncio
from pathlib import Path

import pytest

from tests.verifiers.big_log import BigLog, build
from tests.verifiers.samples import Samples, take

FOLDER = Path(__file__).parent
TIME_MAX_S = 300
"""The first test of each waits for the log, and every one of them reads all of it: on a busy machine that takes minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.timeout(TIME_MAX_S))


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> BigLog:
    return asyncio.run(build(tmp_path_factory.mktemp("big-log")))


@pytest.fixture(scope="session")
def samples(log: BigLog) -> Samples:
    return asyncio.run(take(log))
