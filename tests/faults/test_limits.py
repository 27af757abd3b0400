"""A person's limit, met by fifty calls at once from two processes."""

from pathlib import Path

import pytest

from ledger.credit_actions import CreditTopup
from ledger.entry import Draft
from ledger.roadchain import RoadChain
from tests.faults.children import child
from tests.faults.limited import CALL, SPENT, limited_caller, opened
from tests.faults.money_moves import GENESIS, scope
from tests.postgres import TEMPLATE, Server, database_of
from tests.stores import Kind

EACH = 25


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize(("cap", "may_run"), [(5 * CALL + 19, 5), (0, 2 * EACH)], ids=["limit", "control"])
async def test_fifty_calls_at_once_from_two_processes_stay_within_a_persons_limit(
    kind: Kind, cap: int, may_run: int, tmp_path: Path, postgres: Server
) -> None:
    async with database_of(postgres, TEMPLATE) as database:
        place = str(tmp_path / "ledger.db") if kind == "sqlite" else postgres.url(database)
        store = await opened(place)
        async with RoadChain(store) as roadchain:
            await roadchain.append(GENESIS)
            await roadchain.append(Draft(CreditTopup("stripe", 1_000 * CALL), scope("w1", "ann"), "topup"))
        with (
            child(limited_caller, place, "one", EACH, cap) as one,
            child(limited_caller, place, "two", EACH, cap) as two,
        ):
            told = [one.acknowledged(), two.acknowledged()]
            assert (one.ended(), two.ended()) == (0, 0)
        assert sum(ran for ran, _ in told) == may_run
        assert sum(refused for _, refused in told) == 2 * EACH - may_run
        assert await store.spent(SPENT) == (may_run * CALL if cap else 0)
        await store.aclose()
