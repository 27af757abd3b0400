"""Credit between people, and what an invitation brings: all of it or nothing, on the ledger, and told to the asker alone."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bot.billing import Billing
from bot.platforms.base import Address, Standing
from ledger.credit_actions import (
    CreditAllocated,
    CreditRefused,
    CreditReserved,
    CreditReversed,
    CreditTopup,
    RewardGranted,
)
from ledger.entry import Draft
from ledger.errors import InsufficientBalance
from ledger.money import URC_PER_RC, Money
from ledger.pseudonyms import ActorId
from tests.house import ME, PSEUDONYMS, asks
from tests.house_at_a_till import MINE, OURS, Place, at_a_till, bought
from tests.payments import scope

ANNA = replace(ME, person="UANNA")
ELSEWHERE = replace(ME, workspace="other", person="UELSE")
REWARD = Money(5 * URC_PER_RC)


def actor(address: Address) -> ActorId:
    return PSEUDONYMS.actor(address.platform, address.workspace, address.person)


async def says(place: Place, text: str, address: Address = ME, standing: Standing = "owner") -> str:
    """What the person reads."""
    number = f"{(await place.till.store.head()).size}"
    turn, _ = await place.open.ask(replace(asks(text, number, address), standing=standing))
    return next(reply.text for of, _, reply in place.platform.sent if of == turn)


async def set_aside(place: Place, address: Address) -> float:
    return await place.rc(f"L:ws:{OURS}:paid:user:{actor(address)}")


async def refusals(place: Place) -> list[CreditRefused]:
    entries = [item.entry.action for item in await place.open.all()]
    return [action for action in entries if isinstance(action, CreditRefused)]


async def test_credit_is_set_aside_given_on_and_taken_back(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        await bought(place.till)
        await says(place, "hello", ANNA, "member")
        await says(place, "hello")
        said = await says(place, "/billing allocate <@person> 100")
        assert said == "100 RC of this workspace's credit are set aside for `person`, who alone can spend them."
        assert await says(place, "/billing gift <@UANNA|anna> 2.5", ME, "member") == (
            "2.5 RC of what was set aside for you are now `UANNA`'s."
        )
        assert (await set_aside(place, ME), await set_aside(place, ANNA)) == (97.5, 2.5)
        assert "- 2.5 RC set aside for you" in await says(place, "/billing", ANNA, "member")
        assert (await says(place, "/billing reclaim @UANNA 2.5")).startswith("2.5 RC that were set aside for `UANNA`")
        assert (await set_aside(place, ANNA), await place.rc(f"L:ws:{OURS}:paid")) == (0, 902.5)
        moved = [item.entry for item in await place.open.all() if isinstance(item.entry.action, CreditAllocated)]
        assert len({entry.turn for entry in moved}) == 3


async def test_whoever_is_given_something_is_told_alone_and_once(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        await bought(place.till)
        await says(place, "hello", ANNA, "member")
        await says(place, "hello")
        await says(place, "/billing allocate <@person> 100")
        before = len(place.platform.sent)
        await says(place, "/billing gift <@UANNA> 2.5", ME, "member")
        while await place.till.store.open_turns(OURS):
            await asyncio.sleep(0.01)  # the intake tells nobody
        sent = place.platform.sent[before:]
        assert all(reply.private for _, _, reply in sent)
        assert sorted(reply.text for _, _, reply in sent) == [
            "2.5 RC of what was set aside for you are now `UANNA`'s.",
            "`person` gave you 2.5 RC of credit, for you alone. `/billing` shows it.",
        ]
        (told,) = [turn for turn, _, reply in sent if "gave you" in reply.text]
        assert await place.open.journal(told) == ["message.received", "reply.prepared", "reply.sent", "turn.finished"]
        assert {item.entry.actor for item in await place.open.store.entries_of(told)} == {actor(ANNA)}


@pytest.mark.parametrize(
    ("said", "answer", "code"),
    [
        ("gift UANNA -1", "above 0 and up to 100,000 RC", "RC008"),
        ("gift UANNA 0", "above 0 and up to", "RC002"),
        ("gift UANNA 1000000", "above 0 and up to", "RC002"),
        ("gift UANNA 1.0000001", "above 0 and up to", "RC002"),
        ("gift UANNA NaN", "above 0 and up to", "RC002"),
        ("gift UANNA \N{ARABIC-INDIC DIGIT ONE}", "above 0 and up to", "RC002"),
        ("gift UANNA", "above 0 and up to", "RC002"),
        ("gift UANNA 11", "Less than 11 RC is there that was set aside for you", "RC001"),
        ("gift person 1", "That is you.", "RC007"),
        ("gift UNOBODY 1", "`UNOBODY` has not asked me anything here yet", "RC003"),
        ("gift cus_000001 1", "`cus_000001` has not asked me anything here yet", "RC003"),
        ("gift a:b 1", "`/billing gift PERSON RC`: the person as a mention", "RC003"),
        ("gift", "`/billing gift PERSON RC`: the person as a mention", "RC003"),
        ("allocate UANNA 2000", "Less than 2000 RC is there of what this workspace has bought", "RC001"),
        ("reclaim UANNA 1", "Less than 1 RC is there that was set aside for `UANNA`", "RC001"),
    ],
)
async def test_what_cannot_be_moved_is_answered_and_recorded_and_moves_nothing(
    tmp_path: Path, said: str, answer: str, code: str
) -> None:
    async with at_a_till(tmp_path) as place:
        await bought(place.till)
        await says(place, "hello", ANNA, "member")
        await says(place, "hello")
        await says(place, "/billing allocate person 10")
        before = await place.money()
        read = await says(place, f"/billing {said}")
        assert answer in read
        assert read.endswith("Nothing was moved.")
        assert await refusals(place) == [CreditRefused(f"billing.{said.split()[0]}", code)]
        assert await place.money() == before


@pytest.mark.parametrize("part", ["allocate UANNA 1", "reclaim UANNA 1", "referral"])
async def test_who_may_not_pay_moves_nothing_of_the_workspaces(tmp_path: Path, part: str) -> None:
    async with at_a_till(tmp_path, billing=Billing(referral=REWARD)) as place:
        await bought(place.till)
        assert (await says(place, f"/billing {part}", ANNA, "member")).startswith("Only a billing admin")
        assert [refused.code for refused in await refusals(place)] == ["RC010"]


async def test_of_gifts_at_once_as_many_go_through_as_there_is_credit(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        await bought(place.till)
        await says(place, "hello", ANNA, "member")
        await says(place, "hello")
        await says(place, "/billing allocate person 10")
        many = (asks("/billing gift UANNA 4", f"gift {number}") for number in range(8))
        await asyncio.gather(*(place.open.ask(gift) for gift in many))
        assert (await set_aside(place, ME), await set_aside(place, ANNA)) == (2, 8)
        assert len(await refusals(place)) == 6
        while await place.till.store.open_turns(OURS):
            await asyncio.sleep(0.01)  # the intake tells nobody
        assert len(place.platform.texts) == 3 + 8 + 2  # each of the two gifts is told


async def test_what_was_set_aside_for_one_is_spent_by_nobody_else(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        await says(place, "hello", ANNA, "member")
        await bought(place.till)
        await says(place, "/billing allocate UANNA 1000")
        call = CreditReserved("h", URC_PER_RC, URC_PER_RC, "p", "m")
        with pytest.raises(InsufficientBalance):
            await place.till.roadchain.append(Draft(call, scope("t", MINE, OURS), "mine"))
        await place.till.roadchain.append(Draft(call, scope("t", actor(ANNA), OURS), "hers"))


async def test_an_invitation_rewards_both_once_when_enough_is_bought(tmp_path: Path) -> None:
    async with at_a_till(tmp_path, billing=Billing(referral=REWARD)) as place:
        offered = await says(place, "/billing referral")
        assert await says(place, "/billing referral") == offered
        code = offered.partition("/billing referral ")[2].partition("`")[0]
        theirs = PSEUDONYMS.workspace(ELSEWHERE.platform, ELSEWHERE.workspace)
        assert OURS not in offered
        taken = await says(place, f"/billing referral {code}", ELSEWHERE)
        assert taken.startswith("Once this workspace has bought 5 RC of credit or more, it gets 5 RC besides")
        again = await says(place, f"/billing referral {code}", ELSEWHERE)
        assert again.startswith("This workspace has taken an invitation before.")
        assert await place.money() == {}
        for _ in range(2):
            payment = await bought(place.till, theirs, actor(ELSEWHERE), 10)
            place.till.account.emit("payment_intent.succeeded", place.till.account.things[payment])
            await place.till.delivered()
            place.till.account.now_s += 600
        lots = (f"L:ws:{theirs}:promo:came-{OURS}", f"L:ws:{OURS}:promo:invited-{theirs}")
        assert [await place.rc(lot) for lot in lots] == [5, 5]
        assert await place.rc("X:rewards") == 10
        rewards = [item.entry.action for item in await place.open.all() if isinstance(item.entry.action, RewardGranted)]
        ends_us = [reward.expires_us for reward in rewards]
        first = next(item.entry for item in await place.open.all() if isinstance(item.entry.action, CreditTopup))
        assert ends_us == [first.mono + 90 * 86_400_000_000] * 2


async def test_an_invitation_that_cannot_be_taken_is_refused_and_recorded(tmp_path: Path) -> None:
    async with at_a_till(tmp_path, billing=Billing(referral=REWARD)) as place:
        code = (await says(place, "/billing referral")).partition("/billing referral ")[2].partition("`")[0]
        await bought(place.till, PSEUDONYMS.workspace(ELSEWHERE.platform, ELSEWHERE.workspace), actor(ELSEWHERE))
        for given, address, answer in (
            (code, ME, "That is your own invitation"),
            ("r-0000000000000000", ELSEWHERE, "There is no such invitation."),
            ("x" * 300, ELSEWHERE, "There is no such invitation."),
            (code, ELSEWHERE, "This workspace has bought credit already."),
        ):
            assert (await says(place, f"/billing referral {given}", address)).startswith(answer)
        assert [refused.code for refused in await refusals(place)] == ["RC007", "RC003", "RC003", "RC010"]
        assert await place.rc("X:rewards") == 0


async def test_a_workspace_that_has_subscribed_takes_no_invitation_any_more(tmp_path: Path) -> None:
    async with at_a_till(tmp_path, billing=Billing(referral=REWARD)) as place:
        code = (await says(place, "/billing referral")).partition("/billing referral ")[2].partition("`")[0]
        theirs = PSEUDONYMS.workspace(ELSEWHERE.platform, ELSEWHERE.workspace)
        link = await place.till.cashier.subscribe(scope("t-0", actor(ELSEWHERE), theirs), place.till.pro)
        place.till.account.pay(link.about.id)
        await place.till.delivered()
        answer = await says(place, f"/billing referral {code}", ELSEWHERE)
        assert answer.startswith("This workspace has bought credit already.")
        assert [refused.code for refused in await refusals(place)] == ["RC010"]


async def test_too_little_that_is_bought_and_a_house_without_rewards_bring_none(tmp_path: Path) -> None:
    async with at_a_till(tmp_path, billing=Billing(referral=Money(2000 * URC_PER_RC))) as place:
        code = (await says(place, "/billing referral")).partition("/billing referral ")[2].partition("`")[0]
        await says(place, f"/billing referral {code}", ELSEWHERE)
        theirs = PSEUDONYMS.workspace(ELSEWHERE.platform, ELSEWHERE.workspace)
        await bought(place.till, theirs, actor(ELSEWHERE), 10)
        assert await place.rc("X:rewards") == 0
        place.till.account.now_s += 600
        await bought(place.till, theirs, actor(ELSEWHERE), 20)
        assert await place.rc("X:rewards") == 4000
    other = tmp_path / "off"
    other.mkdir()
    async with at_a_till(other) as place:
        assert await says(place, "/billing referral") == "Nothing is given for an invitation here."


async def test_a_gift_can_be_reversed_by_the_operator(tmp_path: Path) -> None:
    async with at_a_till(tmp_path) as place:
        await says(place, "hello", ANNA, "member")
        await bought(place.till)
        await says(place, "/billing allocate UANNA 10")
        (entry,) = [item.entry for item in await place.open.all() if isinstance(item.entry.action, CreditAllocated)]
        undo = Draft(CreditReversed(entry.seq), scope("", MINE, OURS), f"reversal/{entry.seq}")
        await place.till.roadchain.append(undo)
        assert await set_aside(place, ANNA) == 0
