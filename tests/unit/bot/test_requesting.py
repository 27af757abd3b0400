"""``/billing request``: an admin asks for credit or for a debt to go, an operator decides, and the asker is told, once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from bot import deciding_console
from bot.notices import Notices
from bot.operating import Opened
from bot.platforms.base import Standing
from bot.settings import Settings
from ledger.credit_actions import CreditGranted, CreditRefused, CreditReserved, CreditSettled, RewardGranted
from ledger.entry import Draft
from ledger.erasure import OfPerson, erase
from ledger.money import URC_PER_RC
from ledger.payment_actions import AdjustmentAsked, AdjustmentDecided, AdjustmentRequested
from tests.house import PSEUDONYMS
from tests.house_at_a_till import MINE, OURS, Place, at_a_till, bought
from tests.payments import scope
from tests.processes import Done
from tests.unit.bot.test_forgetting import says
from tests.unit.bot.test_notices import told

Decide = Callable[..., Awaitable[int]]
UNUSABLE = Settings.__new__(Settings)
"""The console's house is opened by the test."""


@asynccontextmanager
async def console_of(
    place: Place, monkeypatch: pytest.MonkeyPatch, above_usd: int = 100
) -> AsyncIterator[Callable[..., Awaitable[Done]]]:
    """The operator's console over the ledger that the people talk to."""
    notices = Notices(place.open.roadchain, place.till.store, PSEUDONYMS)
    house = Opened(
        place.till.store, place.open.roadchain, place.open.house.desk.billing, PSEUDONYMS, notices, above_usd
    )

    @asynccontextmanager
    async def opened(settings: Settings) -> AsyncIterator[Opened]:
        yield house

    async def there_is(settings: Settings) -> bool:
        return True

    monkeypatch.setattr(deciding_console, "opened", opened)
    monkeypatch.setattr(deciding_console, "ledger_exists", there_is)

    async def types(does: Decide, *words: str) -> Done:
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = await does(UNUSABLE, *words)
        return Done(status, out.getvalue(), err.getvalue())

    yield types


def reference_in(said: str) -> str:
    return said.rpartition("reference is `")[2].partition("`")[0]


async def actions(place: Place) -> list[object]:
    return [item.entry.action for item in await place.recorded(0)]


@pytest.mark.parametrize(
    ("kind", "said", "made"),
    [("grant", "a grant of $20", CreditGranted), ("reward", "a reward of $20", RewardGranted)],
)
async def test_what_an_admin_asks_for_is_decided_on_and_the_asker_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, said: str, made: type[CreditGranted | RewardGranted]
) -> None:
    async with at_a_till(tmp_path) as place, console_of(place, monkeypatch) as types:
        asked = await says(place, f"/billing request {kind} 20 the outage  of \x1b[31mMonday")
        reference = reference_in(asked)
        assert asked.startswith(f"Asked for: {said}. Whoever runs this CarPool decides on it")
        assert await place.money() == {}
        assert AdjustmentRequested("grant" if kind == "grant" else "reward", 2_000 * URC_PER_RC) in await actions(place)
        listed = await types(deciding_console.requests)
        (line, *_) = listed.out.splitlines()
        assert line.startswith(f"{reference}  ")
        assert line.endswith(
            f'{kind} of $20, for workspace {OURS}, because they say "the outage of \\u{{1b}}[31mMonday"'
        )
        done = await types(deciding_console.approve, reference, "they are right", "bob")
        assert (done.status, done.err) == (0, "")
        (answered,) = await told(place, 1)
        assert answered == f"What you asked for as `{reference}`, {said}, is done. `/billing` shows what there is."
        assert "**2000 RC** of credit" in await says(place, "/billing")
        for again in (deciding_console.approve, deciding_console.decline_request):
            late = await types(again, reference, "twice", "bob")
            assert (late.status, late.err) == (1, f"{reference} was approved before. Nothing was changed.\n")
        moved = [item for item in await actions(place) if isinstance(item, made)]
        assert [item.amount for item in moved] == [2_000 * URC_PER_RC]
        decided = [item for item in await actions(place) if isinstance(item, AdjustmentDecided)]
        assert [(item.decision, item.operator) for item in decided] == [("approved", "bob")]
        assert (await types(deciding_console.requests)).out.startswith("0 to decide on")


async def test_what_is_declined_moves_nothing_and_the_asker_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_a_till(tmp_path) as place, console_of(place, monkeypatch) as types:
        reference = reference_in(await says(place, "/billing request grant 20 please"))
        assert (await types(deciding_console.decline_request, reference, "no", "bob")).status == 0
        (answered,) = await told(place, 1)
        assert answered.startswith(f"What you asked for as `{reference}`, a grant of $20, was declined")
        late = await types(deciding_console.approve, reference, "after all", "bob")
        assert (late.status, late.err) == (1, f"{reference} was declined before. Nothing was changed.\n")
        assert await place.money() == {}


async def test_much_of_it_takes_two_operators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with at_a_till(tmp_path) as place, console_of(place, monkeypatch, above_usd=5) as types:
        reference = reference_in(await says(place, "/billing request reward 20 we brought others"))
        assert "which takes two operators" in (await types(deciding_console.requests)).out
        first = await types(deciding_console.approve, reference, "fine", "anna")
        assert first.out.startswith(f"{reference}: asked for by anna.")
        assert (await types(deciding_console.approve, reference, "fine", "anna")).status == 2
        assert await place.money() == {}
        assert (await types(deciding_console.requests)).out.count(reference) == 1
        assert (await types(deciding_console.approve, reference, "fine", "bob")).status == 0
        assert len(await told(place, 1)) == 1
        asked = [item for item in await actions(place) if isinstance(item, AdjustmentAsked)]
        assert [(item.kind, item.operator, len(item.plan)) for item in asked] == [("reward", "anna", 64)]


async def test_a_debt_is_asked_to_be_written_off_as_far_as_it_is_owed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_a_till(tmp_path) as place, console_of(place, monkeypatch) as types:
        refused = await says(place, "/billing request writeoff 4 we owe nothing")
        assert refused == "Less than $4 is owed here. Nothing was asked for."
        payment, owes = await bought(place.till), scope("t-9", MINE, OURS)
        held = CreditReserved("h", 1_000 * URC_PER_RC, 0, "p", "m")
        await place.till.roadchain.append(
            Draft(held, owes, "h/reserve"),
            Draft(CreditSettled("h", 1_000 * URC_PER_RC, "p", 0), owes, "h/settle"),
        )
        place.till.account.refund(payment, 1_000, {})
        await place.till.delivered()
        assert await place.rc(f"A:ws:{OURS}:debt") == 1_000
        assert (await says(place, "/billing request writeoff 11 all of it")).startswith("Less than $11 is owed here.")
        reference = reference_in(await says(place, "/billing request write-off 10 all of it"))
        assert "write-off of $10, for workspace" in (await types(deciding_console.requests)).out
        done = await types(deciding_console.approve, reference, "so be it", "bob")
        assert done.out.startswith("1000 RC of debt are written off (entry ")
        assert await place.rc(f"A:ws:{OURS}:debt") == 0
        (answered,) = await told(place, 3)
        assert answered.startswith(f"What you asked for as `{reference}`, a write-off of $10, is done.")


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("request", "RC002"),
        ("request grant", "RC002"),
        ("request grant 20", "RC002"),
        ("request refund 20 please", "RC002"),
        ("request grant -5 please", "RC008"),
        ("request grant 1e3 please", "RC002"),
        ("request grant \N{ARABIC-INDIC DIGIT FIVE} please", "RC002"),
        ("request grant 5000 please", "RC002"),
        (f"request grant 5 {'x' * 501}", "RC002"),
    ],
)
async def test_what_is_no_request_is_answered_and_on_record(tmp_path: Path, typed: str, code: str) -> None:
    async with at_a_till(tmp_path) as place:
        assert (await says(place, f"/billing {typed}")).endswith("Nothing was asked for.")
        assert CreditRefused("billing.request", code) in await actions(place)
        assert not [item for item in await actions(place) if isinstance(item, AdjustmentRequested)]


async def test_who_may_not_pay_asks_for_nothing(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        standings: tuple[Standing, ...] = ("member", "admin")
        for standing in standings:
            refused = await says(place, "/billing request grant 5 please", standing)
            assert refused.startswith("Only a billing admin")
        assert not [item for item in await actions(place) if isinstance(item, AdjustmentRequested)]


async def test_a_reason_that_was_erased_is_said_to_be_and_the_request_can_be_decided_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_a_till(tmp_path) as place, console_of(place, monkeypatch) as types:
        reference = reference_in(await says(place, "/billing request grant 20 please"))
        await erase(place.open.roadchain, place.till.store, OfPerson(OURS, MINE))
        assert ", whose reason is erased" in (await types(deciding_console.requests)).out
        assert (await types(deciding_console.approve, reference, "fine", "bob")).status == 0
        assert await told(place, 1) == []  # nobody knows any more where they asked
