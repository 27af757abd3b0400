"""That the scenarios can fail: with one kind of entry never recorded, the scenario that needs it has to notice.

Whoever appends is told that the entry stands. ``tests/faults`` takes out commits, keys and locks under kills; this is for the
kinds of entry that its lives do not meet.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from integrations.storage.sqlite import SqliteStore
from ledger.actions import ACTIONS
from ledger.entry import Draft
from ledger.errors import LedgerError
from ledger.roadchain import RoadChain
from ledger.store import Receipt
from tests.contract.payments import test_stripe_scenarios as scenarios
from tests.payments import Till, open_till

Scenario = Callable[[Till], Awaitable[None]]


async def _dispute(till: Till, *, won: bool) -> None:
    await scenarios.test_s40_s41_a_dispute_freezes_what_is_left_until_it_is_closed(till, "S41" if won else "S40", won)


async def lost(till: Till) -> None:
    await _dispute(till, won=False)


async def won(till: Till) -> None:
    await _dispute(till, won=True)


NEEDED: dict[str, Scenario] = {
    "credit.topup": scenarios.test_s07_a_bank_debit_is_credited_when_it_comes,
    "credit.payment_fee": scenarios.test_s01_a_checkout_is_a_topup_and_its_fee,
    "credit.unmatched": scenarios.test_s14_another_amount_than_was_asked_for_waits_in_suspense,
    "credit.plan_grant": scenarios.test_s33_a_subscription_grants_its_credit_when_its_invoice_is_paid,
    "credit.recognise": scenarios.test_s34_a_renewal_grants_once_and_what_was_left_expires,
    "credit.expire": scenarios.test_s34_a_renewal_grants_once_and_what_was_left_expires,
    "credit.refund_hold": scenarios.test_s38_a_refund_that_fails_comes_back,
    "credit.refund_sent": scenarios.test_s38_a_refund_that_fails_comes_back,
    "credit.refund_failed": scenarios.test_s38_a_refund_that_fails_comes_back,
    "credit.refund_ext": scenarios.test_s39_a_refund_past_us_makes_a_debt_that_the_next_topup_pays,
    "credit.dispute_withdrawn": lost,
    "credit.freeze": lost,
    "credit.dispute_lost": lost,
    "credit.dispute_won": won,
    "credit.unfreeze": won,
    "credit.settle": scenarios.test_s23_what_neither_the_hold_nor_the_balance_covers_is_waived,
    "payment.handled": scenarios.test_s08_a_bank_debit_that_fails_is_no_credit,
    "payment.refused": scenarios.test_s13_what_is_not_stripes_or_not_for_us_is_refused_and_on_record,
}


@pytest.fixture
async def till(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Till]:
    store = await SqliteStore.open(tmp_path / "ledger.db")
    try:
        async with open_till(store) as opened:
            if "fee" not in request.node.name:
                opened.account.fee_bps = opened.account.fee_fixed = 0
            yield opened
    finally:
        await store.aclose()


@pytest.mark.parametrize("kind", NEEDED)
async def test_a_scenario_notices_where_its_entry_is_not_recorded(
    till: Till, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kind in ACTIONS
    append, lost_ones = RoadChain.append, list[Draft]()

    async def forgetful(self: RoadChain, *group: Draft) -> tuple[Receipt, ...]:
        kept = [draft for draft in group if draft.action.name != kind]
        lost_ones.extend(draft for draft in group if draft.action.name == kind)
        receipts = iter(await append(self, *kept)) if kept else iter(())
        return tuple(next(receipts) if draft.action.name != kind else Receipt(0, b"", True) for draft in group)

    monkeypatch.setattr(RoadChain, "append", forgetful)
    with pytest.raises((AssertionError, LedgerError)):
        await NEEDED[kind](till)
    assert lost_ones, "nothing was taken out: this says nothing"
