"""That the play of the payments can fail: without one of its commits or its keys, what it checks at the end has to notice.

In one process, and without kills: the moves are those of ``payments_moves``, chosen so that what is taken out is needed.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest

from integrations.payments import going_back, referrals, returned, roadchain_bridge
from ledger.actions import ACTIONS
from ledger.errors import LedgerError
from tests.faults.payments_checks import settle
from tests.faults.payments_play import live, living

BUYS = ("buy", "buy", "debit", "deliver")
GIVES_BACK = ("buy", "buy", "refund", "deliver", "refund", "deliver")
REFUNDED = ("buy", "buy", "refund_outside", "deliver", "fail_refund", "deliver", "refund_outside", "deliver")
DISPUTES = (
    "buy",
    "buy",
    "dispute",
    "deliver",
    "close_dispute",
    "deliver",
    "dispute",
    "deliver",
    "close_dispute",
    "deliver",
)
PLANS = ("subscribe", "subscribe", "subscribe", "deliver", "renew", "deliver")
CHANGES = (*PLANS, "change_plan", "change_plan", "renew", "change_plan", "deliver")
STRANGE = ("strange_payment", "strange_payment", "deliver", "resolve", "deliver")
HOUSE = ("payout", "payout", "payout", "payout", "deliver")
ASKS = ("buy", "buy", "buy", "ask", "ask", "ask", "ask", "ask", "ask")
METERED = (
    "use",
    "use",
    "use",
    "use",
    "tell",
    "use",
    "use",
    "hour",
    "tell",
    "plan_beyond",
    "hour",
    "plan_beyond",
    "hour",
)

LEFT_OUT = {
    "payment.asked": BUYS,
    "payment.opened": GIVES_BACK,
    "payment.received": BUYS,
    "payment.handled": BUYS,
    "payment.scanned": BUYS,
    "payment.returned": REFUNDED,
    "credit.topup": BUYS,
    "credit.payment_fee": BUYS,
    "credit.reward": BUYS,
    "credit.reward_back": REFUNDED,
    "credit.refund_hold": GIVES_BACK,
    "credit.refund_sent": GIVES_BACK,
    "credit.refund_ext": REFUNDED,
    "credit.refund_failed": REFUNDED,
    "credit.dispute_withdrawn": DISPUTES,
    "credit.freeze": DISPUTES,
    "credit.dispute_won": DISPUTES,
    "credit.unfreeze": DISPUTES,
    "credit.dispute_lost": DISPUTES,
    "credit.plan_grant": PLANS,
    "credit.recognise": PLANS,
    "credit.expire": PLANS,
    "credit.plan_reduce": CHANGES,
    "credit.customer_balance": CHANGES,
    "credit.unmatched": STRANGE,
    "credit.resolve": STRANGE,
    "credit.payout": HOUSE,
    "credit.reversal": HOUSE,
    "credit.settle": ASKS,
    "credit.void": ASKS,
    "credit.late_cost": ASKS,
}
"""Each commit of the payments side, and of a call, with moves that need it."""

SEEDS = 8
"""So many plays at the most, until one had what the mutant leaves out."""


async def played(folder: Path, seed: int, moves: tuple[str, ...], mutant: str = "", *, metered: bool = False) -> None:
    folder.mkdir()
    async with living(folder, Random(seed), mutant=mutant, metered=metered) as life:
        await live(life, moves)
    async with living(folder, Random(seed), mutant=mutant, metered=metered) as life:
        await settle(life, Random(seed), converges=False)


async def notices(folder: Path, moves: tuple[str, ...], mutant: str = "", *, metered: bool = False) -> None:
    with pytest.raises((AssertionError, LedgerError)):
        for seed in range(SEEDS):
            await played(folder / str(seed), seed, moves, mutant, metered=metered)


@pytest.mark.parametrize("mutant", LEFT_OUT)
async def test_a_payments_side_without_one_of_its_commits_is_found_out(tmp_path: Path, mutant: str) -> None:
    assert mutant in ACTIONS
    await notices(tmp_path, LEFT_OUT[mutant], mutant)


async def test_a_payments_side_whose_entries_have_no_keys_is_found_out(tmp_path: Path) -> None:
    await notices(tmp_path, BUYS, "keys")


@pytest.mark.parametrize("mutant", ["identifier", "credit.meter", "payment.metered", "credit.overage_paid"])
async def test_a_meter_that_is_told_without_a_commit_or_its_identifier_is_found_out(
    tmp_path: Path, mutant: str
) -> None:
    await notices(tmp_path, METERED, mutant, metered=True)


def scattered(key: Callable[..., str], *about: object) -> str:
    return f"{key(*about)}/{os.urandom(8).hex()}"


async def test_without_the_list_of_what_went_back_of_a_payment_too_much_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its steps have one key each, so that two cannot both count on what is left."""
    monkeypatch.setattr(returned, "_key", partial(scattered, returned._key))
    await notices(tmp_path, (*REFUNDED, *GIVES_BACK))


async def test_without_its_key_a_reward_is_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = partial(scattered, referrals.reward_key)
    for module in (referrals, roadchain_bridge, going_back):
        monkeypatch.setattr(module, "reward_key", mutant)
    await notices(tmp_path, BUYS)


@pytest.mark.parametrize("moves", sorted({*LEFT_OUT.values()}))
async def test_with_nothing_taken_out_the_same_moves_are_right(tmp_path: Path, moves: tuple[str, ...]) -> None:
    """The control."""
    for seed in range(2):
        await played(tmp_path / str(seed), seed, moves)


async def test_with_nothing_taken_out_the_meter_is_told_right(tmp_path: Path) -> None:
    await played(tmp_path / "0", 0, METERED, metered=True)
