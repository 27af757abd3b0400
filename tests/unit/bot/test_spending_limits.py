"""What answers may cost a person, a channel and a workspace in a day or a month: billing admins set it, and it holds."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.messages import Usage
from adapters.scripted import answer
from bot.billing import Billing, Caps, Charges
from bot.limits import Limits
from bot.platforms.base import Address, Incoming, Standing
from bot.rules import Rules
from ledger.actions import SettingChanged
from ledger.credit_actions import CreditRefused
from ledger.errors import Code
from ledger.money import URC_PER_RC
from ledger.pseudonyms import ConversationId
from tests.house import ME, PSEUDONYMS, Open, RecordingPlatform, asks, running_house
from tests.unit.bot.test_paying import FUNDED, HELLO, PRICE_URC, fund, left, priced

THERE = replace(ME, channel="another", thread="1")
IN_THREAD = replace(ME, thread="7")
SHORT = Limits(output_tokens_max=32)
"""So that little is expected of a call."""

HERE = PSEUDONYMS.conversation(ME.platform, ME.workspace, ME.channel, "")


def says(text: str, event: str, standing: Standing = "owner", address: Address = ME) -> Incoming:
    return replace(asks(text, event, address), standing=standing)


async def ask(open_: Open, text: str, event: str, address: Address = ME) -> str:
    return (await open_.ask(asks(text, event, address)))[1]


@pytest.mark.parametrize("charges", ["funded", "all"])
async def test_a_channels_limit_holds_in_all_of_its_threads_and_in_no_other_channel(
    tmp_path: Path, charges: Charges
) -> None:
    platform = RecordingPlatform()
    billing = replace(FUNDED, charges=charges)
    async with running_house(
        tmp_path, platform, [HELLO] * 9, cards=priced("scripted"), billing=billing, limits=SHORT
    ) as open_:
        await fund(open_.roadchain, 100)
        assert await ask(open_, "hello", "1") == "answered"  # what was spent before the limit was set counts too
        await open_.ask(says(f"/billing limit channel {2 * PRICE_URC / URC_PER_RC}", "2"))
        assert await ask(open_, "hello", "3", IN_THREAD) == "answered"
        assert [await ask(open_, "hello", str(n), where) for n, where in enumerate((ME, IN_THREAD), 4)] == [
            "refused"
        ] * 2
        assert await ask(open_, "hello", "6", THERE) == "answered"
        assert await left(open_) == 100 * URC_PER_RC - 3 * PRICE_URC
    assert "This channel's limit for 20" in platform.texts[2]
    assert platform.texts[3].startswith("This channel's limit for 20")
    assert " is used up. It goes on next month, or" in platform.texts[3]
    assert "`/billing limit`" in platform.texts[3]


async def test_a_limit_of_a_channel_holds_with_any_number_of_answers_at_once(tmp_path: Path) -> None:
    platform, script = RecordingPlatform(), [answer("Hello.", usage=Usage(input=10, output=200))] * 20
    async with running_house(
        tmp_path, platform, script, cards=priced("scripted"), billing=FUNDED, limits=Limits(output_tokens_max=200)
    ) as open_:
        await fund(open_.roadchain, 100)
        await open_.ask(says("/billing limit channel 2", "0"))
        threads = [replace(ME, thread=str(number)) for number in range(20)]
        outcomes = await asyncio.gather(*(ask(open_, "hello", f"t{n}", where) for n, where in enumerate(threads)))
        spent = 100 * URC_PER_RC - await left(open_)
    assert set(outcomes) == {"answered", "refused"}
    assert 0 < spent <= 2 * URC_PER_RC


async def test_what_is_set_is_shown_and_taken_back(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    billing = Billing("funded", workspace_month_max=500 * URC_PER_RC)
    async with running_house(tmp_path, platform, billing=billing) as open_:
        texts = (
            "person 10",
            "channel 2.5 rc",
            "workspace 1000",
            "person-month 40",
            "Workspace-Day 90",
            "",
            "person NONE",
            "",
        )
        for number, text in enumerate(texts):
            await open_.ask(says(f"/billing limit {text}", str(number)))
        kept = await open_.store.settings(open_.intake.scope(ME, "x").workspace)
    person, channel, workspace, month, day, shown, taken_back, again = platform.texts
    assert person == "From now on, each person in a day: 10 RC."
    assert channel == "From now on, this channel in a month: 2.5 RC."
    assert workspace == (
        "From now on, this workspace in a month: 500 RC. More than that is not allowed by whoever runs CarPool."
    )
    assert (month, day) == (
        "From now on, each person in a month: 40 RC.",
        "From now on, this workspace in a day: 90 RC.",
    )
    assert [line for line in shown.splitlines() if line.startswith("- ")] == [
        "- `person`, each person in a day: **10 RC**",
        "- `person-month`, each person in a month: **40 RC**",
        "- `channel`, this channel in a month: **2.5 RC**",
        "- `workspace`, this workspace in a month: **500 RC**",
        "- `workspace-day`, this workspace in a day: **90 RC**",
    ]
    assert (taken_back, "**no limit**" in again) == ("From now on, each person in a day: no limit.", True)
    assert {(item.setting, item.value, item.conversation) for item in kept} == {
        ("channel_month_urc_max", "2500000", HERE),
        ("workspace_month_urc_max", "1000000000", ""),
        ("person_month_urc_max", "40000000", ""),
        ("workspace_day_urc_max", "90000000", ""),
    }


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("-1", Code.NEGATIVE_AMOUNT),
        ("0", Code.INVALID_ENTRY_TYPE),
        ("1e9", Code.INVALID_ENTRY_TYPE),
        ("1.0000001", Code.INVALID_ENTRY_TYPE),
        ("NaN", Code.INVALID_ENTRY_TYPE),
        ("\N{ARABIC-INDIC DIGIT FIVE}", Code.INVALID_ENTRY_TYPE),
        ("", Code.INVALID_ENTRY_TYPE),
    ],
)
async def test_what_is_no_amount_sets_nothing_and_is_on_the_ledger(tmp_path: Path, amount: str, code: Code) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, billing=FUNDED) as open_:
        await open_.ask(says(f"/billing limit person {amount}", "1"))
        actions = [item.entry.action for item in await open_.all()]
    assert "Nothing was changed." in platform.texts[0]
    assert [item for item in actions if isinstance(item, CreditRefused)] == [CreditRefused("billing.limit", code.value)]
    assert not any(isinstance(item, SettingChanged) for item in actions)


async def test_only_who_may_pay_sets_a_limit(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, billing=FUNDED) as open_:
        standings: tuple[Standing, ...] = ("member", "admin")
        for number, standing in enumerate(standings):
            await open_.ask(says("/billing limit person 10", str(number), standing))
        actions = [item.entry.action for item in await open_.all()]
    assert all("Only a billing admin" in text for text in platform.texts)
    refused = [item for item in actions if isinstance(item, CreditRefused)]
    assert refused == [CreditRefused("billing.limit", Code.UNAUTHORISED.value)] * 2


def test_the_lower_of_two_limits_holds() -> None:
    rules = Rules(most=Caps(5, 0, 7), channel_months={ConversationId("c"): 3})
    assert rules.caps(Caps(), ConversationId("c")) == Caps(5, 3, 7)
    assert rules.caps(Caps(4, 0, 9), ConversationId("d")) == Caps(4, 0, 7)
    assert Rules().caps(Caps(4, 0, 9), ConversationId("c")) == Caps(4, 0, 9)


async def test_nobody_reads_in_a_channel_what_the_workspace_has_spent_and_may(tmp_path: Path) -> None:
    """A reply stands before everybody, and the workspace's use is for its billing admins: `/billing` tells them alone."""
    platform = RecordingPlatform()
    billing = replace(FUNDED, workspace_month_max=3 * PRICE_URC)
    async with running_house(
        tmp_path, platform, [HELLO] * 3, cards=priced("scripted"), billing=billing, limits=SHORT
    ) as open_:
        await fund(open_.roadchain, 100)
        outcomes = [await ask(open_, "hello", str(number)) for number in range(4)]
    assert outcomes == ["answered"] * 3 + ["refused"]
    assert not any(" RC" in text for text in platform.texts), platform.texts
    assert "This workspace's limit for 20" in platform.texts[2]
    assert " is used up. It goes on next month, or" in platform.texts[3]


@pytest.mark.parametrize(
    ("limit", "whose", "on"),
    [
        ("person-month", "Your limit for 20", "next month"),
        ("workspace-day", "This workspace's limit for 20", "tomorrow (UTC)"),
    ],
)
async def test_a_persons_month_and_the_workspaces_day_hold(tmp_path: Path, limit: str, whose: str, on: str) -> None:
    platform = RecordingPlatform()
    async with running_house(
        tmp_path, platform, [HELLO] * 3, cards=priced("scripted"), billing=FUNDED, limits=SHORT
    ) as open_:
        await fund(open_.roadchain, 100)
        assert await ask(open_, "hello", "1") == "answered"  # what was spent before the limit was set counts too
        await open_.ask(says(f"/billing limit {limit} {2 * PRICE_URC / URC_PER_RC}", "2"))
        assert [await ask(open_, "hello", event) for event in "34"] == ["answered", "refused"]
        assert await left(open_) == 100 * URC_PER_RC - 2 * PRICE_URC
        await open_.ask(says("/billing", "5"))
    assert platform.texts[3].startswith(whose)
    assert f" is used up. It goes on {on}, or" in platform.texts[3]
    assert "0.96 RC of " in platform.texts[4]


def test_what_the_operator_allows_a_person_in_a_month_and_the_workspace_in_a_day_nobody_raises() -> None:
    operators = Billing(person_month_max=5, workspace_day_max=6).caps
    assert Rules(most=Caps(person_month=7, workspace_day=2)).caps(operators, HERE) == Caps(
        person_month=5, workspace_day=2
    )
