"""Reserve, call, settle around each call of a turn: what stands on RoadChain, what is left, and what a person reads."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.base import BaseAdapter
from adapters.errors import FirstTokenTimedOut, RefusedKey, Unavailable
from adapters.messages import Finished, ProviderName, TextDelta, ToolResult, Usage
from adapters.scripted import Pause, Raise, ScriptedAdapter, ScriptReply, WaitFor, answer
from bot.billing import Billing, Charges, Price, given_back, purse_of
from bot.connections import Build
from bot.limits import Limits
from bot.listening import Heard
from bot.lucidia.catalog import ModelCard, Rates
from bot.paying import input_tokens, settling
from bot.platforms.base import PlatformError
from bot.secret import Secret
from bot.tokens import FAVOUR
from bot.turn import answered_of
from bot.vault import KeyOwner, Vault
from integrations.storage.sqlite import SqliteStore
from integrations.tools.base import Toolbox, Use
from ledger.accounts import Account
from ledger.actions import MessageReceived, ModelAnswered, ModelCalled
from ledger.book import Counter
from ledger.credit_actions import CreditGranted, CreditRefused, CreditReserved, CreditSettled, CreditVoided
from ledger.entry import Draft, Scope
from ledger.money import URC_PER_RC, Money, rc_text
from ledger.pseudonyms import ConversationId, TurnId
from ledger.roadchain import RoadChain, clock_us
from ledger.store import Recorded
from tests.contract.stores.test_money_scenarios import short_name, told
from tests.house import (
    DATABASE,
    GENESIS,
    ME,
    PSEUDONYMS,
    WANTS_TOOL,
    Gate,
    Open,
    RecordingPlatform,
    RecordingTool,
    asks,
    card,
    running_house,
)
from tests.house_at_a_till import at_a_till, bought

RATES = Rates(2_000_000, 10_000_000)
FUNDED = Billing("funded", 2000)
USAGE = Usage(input=1_000, output=200)
PRICE_URC = 480_000
COST_URC = 400_000
W = PSEUDONYMS.workspace(ME.platform, ME.workspace)
ME_THERE = PSEUDONYMS.actor(ME.platform, ME.workspace, ME.person)
SCOPE = Scope(W, ME_THERE, ConversationId(""), TurnId(""))
HELLO = answer("Hello.", usage=USAGE)
PAID = [
    *("message.received", "route.chosen", "credit.reserve", "model.called"),
    *("credit.settle", "model.answered", "reply.prepared", "reply.sent", "turn.finished"),
]


async def fund(roadchain: RoadChain, rc: float) -> None:
    await roadchain.append(Draft(CreditGranted("gift", round(rc * URC_PER_RC)), SCOPE, "gift"))


async def left(open_: Open) -> int:
    return purse_of(await open_.store.balances(), W, ME_THERE, clock_us()).spendable


async def balance(open_: Open, account: str) -> int:
    return next((row.natural for row in await open_.store.balances() if row.account == account), 0)


def priced(*names: str, rates: Rates = RATES) -> list[ModelCard]:
    return [card(name, 90 - place, rates=rates) for place, name in enumerate(names)]


def scripts(**replies: Sequence[ScriptReply]) -> Mapping[str, BaseAdapter]:
    return {name: ScriptedAdapter(ProviderName(name), tuple(made)) for name, made in replies.items()}


async def test_an_answer_is_held_for_settled_and_given_back_in_the_steps_of_its_turn(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, [HELLO], cards=priced("scripted"), billing=FUNDED) as open_:
        await fund(open_.roadchain, 100)
        turn, outcome = await open_.ask(asks("hello"))
        assert outcome == "answered"
        assert await open_.journal(turn) == PAID
        assert await left(open_) == 100 * URC_PER_RC - PRICE_URC
        assert await balance(open_, f"L:ws:{W}:held") == 0
        assert await balance(open_, "R:usage") == PRICE_URC
        assert await balance(open_, "X:provider:scripted") == COST_URC
        entries = [recorded.entry.action for recorded in await open_.store.entries_of(turn)]
    (held,) = [action for action in entries if isinstance(action, CreditReserved)]
    assert Price.read(held.price).charge(USAGE) == PRICE_URC
    assert platform.texts == ["Hello."]
    footer = platform.sent[0][2].footer
    assert footer is not None
    assert footer.price == rc_text(Money(PRICE_URC))


async def test_an_answer_that_nobody_got_is_taken_back(tmp_path: Path) -> None:  # S20
    platform = RecordingPlatform(fails=[PlatformError("the channel is gone", None)])
    async with running_house(tmp_path, platform, [HELLO], cards=priced("scripted"), billing=FUNDED) as open_:
        await fund(open_.roadchain, 100)
        turn, outcome = await open_.ask(asks("hello"))
        assert outcome == "undelivered"
        assert await left(open_) == 100 * URC_PER_RC
        assert await balance(open_, f"L:ws:{W}:held") == 0
        assert await balance(open_, "R:usage") == 0
        assert await balance(open_, "X:absorbed") == COST_URC
        assert await balance(open_, "L:provider:scripted:accrued") == COST_URC
        names = [name for name in await open_.journal(turn) if name.startswith("credit.")]
        assert names == ["credit.reserve", "credit.settle", "credit.reversal", "credit.void", "credit.late_cost"]


async def test_money_adds_no_durable_step_to_a_turn(tmp_path: Path) -> None:
    commits = [await _commits(tmp_path / str(place), billing) for place, billing in enumerate((Billing(), FUNDED))]
    assert commits[0] == commits[1]


async def _commits(folder: Path, billing: Billing) -> int:
    folder.mkdir()
    seen: list[int] = []
    async with running_house(folder, RecordingPlatform(), [HELLO], cards=priced("scripted"), billing=billing) as open_:
        await fund(open_.roadchain, 100)
        open_.roadchain.watch(seen.append)
        await open_.ask(asks("hello"))
    return len(seen)


@pytest.mark.parametrize(
    ("billing", "rates", "rc"),
    [(Billing("none", 2000), RATES, 100), (FUNDED, RATES, 0), (FUNDED, Rates(0, 0), 100)],
    ids=["nothing is charged for", "never had credit", "a free model"],
)
async def test_where_nothing_is_to_be_paid_nothing_of_money_is_recorded(
    tmp_path: Path, billing: Billing, rates: Rates, rc: int
) -> None:
    cards = priced("scripted", rates=rates)
    async with running_house(tmp_path, RecordingPlatform(), [HELLO], cards=cards, billing=billing) as open_:
        if rc:
            await fund(open_.roadchain, rc)
        turn, outcome = await open_.ask(asks("hello"))
        assert outcome == "answered"
        assert await open_.journal(turn) == [name for name in PAID if not name.startswith("credit.")]


async def test_without_credit_nobody_is_asked_and_the_person_reads_what_helps(tmp_path: Path) -> None:
    platform, adapters = RecordingPlatform(), scripts(dear=[HELLO], cheap=[HELLO])
    cards = [*priced("dear"), card("cheap", 10, rates=Rates(1, 1))]
    async with running_house(tmp_path, platform, adapters, cards=cards, billing=FUNDED) as open_:
        await fund(open_.roadchain, 0.01)
        turn, outcome = await open_.ask(asks("hello"))
        assert outcome == "refused"
        entries = [recorded.entry.action for recorded in await open_.store.entries_of(turn)]
        assert [action for action in entries if isinstance(action, CreditRefused)] == [
            CreditRefused("credit.reserve", "RC001")
        ]
        assert not [action for action in entries if isinstance(action, ModelCalled)]
        assert await left(open_) == 10_000
    assert platform.texts[0].startswith("Even for a short answer 0.03 RC of credit is missing. ")
    assert "Ask a billing admin here to top up. cheap/m would still fit: `/model` chooses one." in platform.texts[0]
    assert platform.texts[0].endswith(f"(Reference: {turn})")


async def test_one_who_chose_a_dear_model_reads_of_a_cheaper_one_that_fits(tmp_path: Path) -> None:
    platform, adapters = RecordingPlatform(), scripts(dear=[HELLO], cheap=[HELLO])
    cards = [*priced("dear"), card("cheap", 10, rates=Rates(1, 1))]
    async with running_house(tmp_path, platform, adapters, cards=cards, billing=FUNDED) as open_:
        await fund(open_.roadchain, 0.01)
        await open_.ask(asks("/model dear/m", "0"))
        await open_.ask(asks("hello"))
    assert "cheap/m would still fit" in platform.texts[-1]


async def test_little_credit_makes_the_answer_shorter(tmp_path: Path) -> None:
    async with running_house(tmp_path, RecordingPlatform(), [HELLO], cards=priced("scripted"), billing=FUNDED) as open_:
        await fund(open_.roadchain, 0.5)
        turn, outcome = await open_.ask(asks("hello"))
        assert outcome == "answered"
        entries = [recorded.entry.action for recorded in await open_.store.entries_of(turn)]
        (called,) = [action for action in entries if isinstance(action, ModelCalled)]
        assert 16 <= called.output_tokens_max < 1024


async def test_all_who_ask_for_a_model_without_a_price_are_told(tmp_path: Path) -> None:  # S27
    platform = RecordingPlatform()
    cards = [replace(card("scripted"), rates=None)]
    async with running_house(tmp_path, platform, [HELLO], cards=cards, billing=Billing("all")) as open_:
        _, outcome = await open_.ask(asks("hello"))
    assert outcome == "refused"
    assert platform.texts[0].startswith("scripted/m has no price here")


async def test_a_failed_attempt_is_given_back_and_the_next_one_charged(tmp_path: Path) -> None:  # S16, S28
    adapters = scripts(first=[(Raise(Unavailable("down")),)], second=[HELLO])
    async with running_house(
        tmp_path, RecordingPlatform(), adapters, cards=priced("first", "second"), billing=FUNDED
    ) as open_:
        await fund(open_.roadchain, 100)
        turn, outcome = await open_.ask(asks("hello"))
        assert outcome == "answered"
        names = [name for name in await open_.journal(turn) if name.startswith("credit.")]
        assert names == ["credit.reserve", "credit.void", "credit.reserve", "credit.settle"]
        assert await left(open_) == 100 * URC_PER_RC - PRICE_URC


async def test_what_a_model_took_before_it_broke_off_is_the_houses_and_the_next_one_is_charged(tmp_path: Path) -> None:
    # S28: what it took is an estimate, which waits for the provider's bill.
    first = ScriptedAdapter(ProviderName("first"), ((TextDelta("four" * 1_000), Raise(Unavailable("cut"))),))
    adapters = {"first": first, **scripts(second=[HELLO])}
    async with running_house(
        tmp_path, RecordingPlatform(), adapters, cards=priced("first", "second"), billing=FUNDED
    ) as open_:
        await fund(open_.roadchain, 100)
        turn, outcome = await open_.ask(asks("hello"))
        assert outcome == "answered"
        took = Price(RATES, 0).cost(Usage(input_tokens(first.requests[0], FAVOUR), 1_000))
        assert took > URC_PER_RC
        assert await balance(open_, "X:absorbed") == took
        assert await balance(open_, "L:provider:first:suspense") == took
        assert await balance(open_, "L:provider:second:accrued") == COST_URC
        assert await balance(open_, f"L:ws:{W}:held") == 0
        assert await left(open_) == 100 * URC_PER_RC - PRICE_URC
        names = [name for name in await open_.journal(turn) if name.startswith("credit.")]
        assert names == ["credit.reserve", "credit.void", "credit.reserve", "credit.settle"]


async def test_who_stops_an_answer_pays_for_what_they_read_in_the_reply(tmp_path: Path) -> None:
    platform, here = RecordingPlatform(), Gate()
    model = ScriptedAdapter(
        ProviderName("scripted"), ((TextDelta("four" * 1_000), WaitFor(here), Finished("stop", None)),)
    )
    async with running_house(
        tmp_path, platform, {"scripted": model}, cards=priced("scripted"), billing=FUNDED
    ) as open_:
        await fund(open_.roadchain, 100)
        accepted = await open_.intake.accept(asks("write me something long"))
        ended = asyncio.create_task(open_.intake.ended(accepted.turn))
        await here.reached.wait()
        assert (await open_.ask(asks("/stop", "2")))[1] == "command"
        here.set()
        assert await ended == "stopped"
        price = Price(RATES, FUNDED.markup_bps).charge(Usage(input_tokens(model.requests[0], FAVOUR), 1_000))
        assert await left(open_) == 100 * URC_PER_RC - price
    assert platform.texts[-1].startswith("fourfour")


async def test_a_question_that_is_deleted_before_anything_was_seen_costs_its_asker_nothing(tmp_path: Path) -> None:
    platform, here = RecordingPlatform(), Gate()
    script = [(TextDelta("four" * 1_000), WaitFor(here), answer(usage=USAGE)[-1])]
    async with running_house(tmp_path, platform, script, cards=priced("scripted"), billing=FUNDED) as open_:
        await fund(open_.roadchain, 100)
        accepted = await open_.intake.accept(asks("write me something long"))
        ended = asyncio.create_task(open_.intake.ended(accepted.turn))
        await here.reached.wait()
        await open_.door.withdraw(ME, "1")
        assert await ended == "withdrawn"
        assert await left(open_) == 100 * URC_PER_RC
        assert await balance(open_, "X:absorbed") > URC_PER_RC
        assert await balance(open_, f"L:ws:{W}:held") == 0
    assert platform.texts == []


HELD = CreditReserved("h", 9 * URC_PER_RC, 2 * COST_URC, "p", "m", "", (), Price(RATES, 2000).text)
TOLD, SAID = Finished("stop", USAGE), ["four" * 100]
GIVEN_BACK, NOT_ASKED = CreditVoided("h", "p", Money(2 * COST_URC * 10 // 12)), CreditVoided("h", "p")
BY_USAGE, ITS_COST = CreditSettled("h", PRICE_URC, "p", COST_URC), CreditVoided("h", "p", COST_URC)
BY_BYTES, THOUGHT_COST = CreditSettled("h", 480_000, "p", 400_000), CreditVoided("h", "p", 400_000)


@pytest.mark.parametrize(
    ("heard", "withdrawn", "came_to"),
    [
        # ``came_bytes`` has what it thought, too: what was got was thought for.
        (Heard(SAID, outcome="stopped", came_bytes=800, finished=TOLD), False, BY_USAGE),
        (Heard(SAID, outcome="stopped", came_bytes=800), False, BY_BYTES),
        (Heard(SAID, outcome="timed_out", came_bytes=800), False, BY_BYTES),
        (Heard(SAID, outcome="failed", came_bytes=800, shown=True, error=Unavailable("cut")), False, BY_BYTES),
        (Heard(SAID, outcome="failed", came_bytes=800, error=Unavailable("cut")), False, THOUGHT_COST),
        (Heard(SAID, outcome="stopped", came_bytes=800), True, THOUGHT_COST),
        (Heard(SAID, outcome="stopped", came_bytes=800, shown=True), True, BY_BYTES),
        (Heard(SAID, outcome="answered", came_bytes=800, finished=TOLD), True, ITS_COST),
        (Heard(outcome="timed_out", came_bytes=800), False, THOUGHT_COST),
        (Heard(["\n"], outcome="stopped", came_bytes=800), False, THOUGHT_COST),
        (Heard(outcome="timed_out"), False, GIVEN_BACK),
        (Heard(outcome="failed", error=FirstTokenTimedOut("late")), False, GIVEN_BACK),
        (Heard(outcome="failed", error=Unavailable("503")), False, NOT_ASKED),
        (Heard(outcome="failed", error=RefusedKey("401")), False, NOT_ASKED),
        (Heard(outcome="stopped", asked=False), False, NOT_ASKED),
    ],
)
def test_a_call_comes_to_what_the_person_got_of_it_and_else_to_what_it_cost_the_house(
    heard: Heard, withdrawn: bool, came_to: CreditSettled | CreditVoided
) -> None:
    assert settling(HELD, answered_of(1, heard), heard, 1_000, withdrawn=withdrawn) == ((came_to, None),)


class Verbose(RecordingTool):
    async def call(self, use: Use) -> ToolResult:
        self.calls += 1
        return ToolResult(use.call.id, "seen " * 40_000)


async def test_a_limit_holds_in_a_turn_whose_tools_say_much(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    # Of what the tool says as much goes along as the window has room for.
    dear = answer("Hello.", usage=Usage(input=8_000, output=1_000))
    script = [(*WANTS_TOOL[:1], answer(usage=USAGE)[-1]), dear]
    billing = replace(FUNDED, person_day_max=3 * URC_PER_RC)
    toolbox = Toolbox({"look": Verbose("read")})
    async with running_house(
        tmp_path, platform, script, cards=priced("scripted"), billing=billing, toolbox=toolbox
    ) as open_:
        await fund(open_.roadchain, 1_000)
        turn, outcome = await open_.ask(asks("hello"))
        assert outcome == "refused"
        assert await balance(open_, "R:usage") == PRICE_URC
        assert (await open_.journal(turn)).count("model.called") == 1
    assert platform.texts[0].startswith("Your limit for 20")


async def test_each_round_of_tools_is_paid_for(tmp_path: Path) -> None:
    script = [(*WANTS_TOOL[:1], answer(usage=USAGE)[-1]), HELLO]
    async with running_house(
        tmp_path,
        RecordingPlatform(),
        script,
        cards=priced("scripted"),
        billing=FUNDED,
        toolbox=Toolbox({"look": RecordingTool("read")}),
    ) as open_:
        await fund(open_.roadchain, 100)
        turn, _ = await open_.ask(asks("hello"))
        settled = [name for name in await open_.journal(turn) if name == "credit.settle"]
        assert len(settled) == 2
        assert await left(open_) == 100 * URC_PER_RC - 2 * PRICE_URC


async def test_usage_that_nobody_told_is_estimated_from_what_was_said(tmp_path: Path) -> None:
    script = [answer("four" * 50, usage=None)]
    async with running_house(tmp_path, RecordingPlatform(), script, cards=priced("scripted"), billing=FUNDED) as open_:
        await fund(open_.roadchain, 100)
        turn, _ = await open_.ask(asks("hello"))
        entries = [recorded.entry.action for recorded in await open_.store.entries_of(turn)]
        (settled,) = [action for action in entries if isinstance(action, CreditSettled)]
        assert 0 < settled.price < PRICE_URC


async def test_a_message_that_is_told_of_four_times_is_paid_for_once(tmp_path: Path) -> None:  # S25
    paid = [answer("Hello.", usage=Usage(input=10_000, output=2_000))] * 4
    cards = [card("p", rates=RATES)]
    async with at_a_till(tmp_path, paid, provider="p", cards=cards, billing=FUNDED) as place:
        place.till.account.fee_bps = place.till.account.fee_fixed = 0
        await bought(place.till)
        begun = (await place.till.store.head()).size
        # The first three at once, as when our own answer to the platform is late; the last when all is done.
        accepted = await asyncio.gather(*(place.open.intake.accept(asks("hello")) for _ in range(3)))
        await place.open.intake.ended(accepted[0].turn)
        again = await place.open.intake.accept(asks("hello"))
        assert [item.fresh for item in (*accepted, again)] == [True, False, False, False]
        assert len({item.turn for item in (*accepted, again)}) == 1
        entries = [item.entry for item in await place.recorded(begun) if item.entry.postings]
        (held, settled) = entries
        ceiling = sum(posting.amount for posting in held.postings if posting.amount > 0)
        assert [told(entry)[0] for entry in entries] == ["reserve", "settle"]
        assert {short(posting.account): posting.amount for posting in settled.postings} == {
            "HELD": ceiling,
            "PAID": 4_800_000 - ceiling,
            "RU": -4_800_000,
            "COGS": 4_000_000,
            "PROV": -4_000_000,
        }
        assert await place.rc(f"L:ws:{W}:paid") == 995.2
        assert place.platform.texts == ["Hello."]


def short(account: str) -> str:
    """As the scenarios write it."""
    return short_name(Account(account.replace(W, "w-1")))


async def test_a_persons_limit_holds_and_is_told(tmp_path: Path) -> None:  # S30
    platform = RecordingPlatform()
    billing = replace(FUNDED, person_day_max=2 * URC_PER_RC)
    async with running_house(tmp_path, platform, [HELLO] * 9, cards=priced("scripted"), billing=billing) as open_:
        await fund(open_.roadchain, 100)
        outcomes = [(await open_.ask(asks("hello", str(n))))[1] for n in range(4)]
        # A call counts with what it may come to until it is settled: as what is left gets less, answers may be less long.
        assert outcomes == ["answered", "answered", "answered", "refused"]
        assert await left(open_) == 100 * URC_PER_RC - 3 * PRICE_URC
        most = [
            action.output_tokens_max
            for action in (item.entry.action for item in await open_.all())
            if isinstance(action, ModelCalled)
        ]
    *before, third = most
    assert before == [Limits().output_tokens_max] * 2
    assert 512 <= third < 1_040_000 // 1_200  # what 1.04 RC would pay for with nothing asked
    assert " is used to 72 per cent." in platform.texts[3]
    assert " What is left of it would not pay for a short answer." in platform.texts[3]


async def test_a_limit_keeps_nobody_from_answers_that_cost_nothing(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    billing = replace(FUNDED, person_day_max=1)
    async with running_house(tmp_path, platform, [HELLO], cards=priced("scripted"), billing=billing) as open_:
        _, outcome = await open_.ask(asks("hello"))  # this workspace never had credit: it pays nothing
    assert (outcome, platform.texts) == ("answered", ["Hello."])


@pytest.mark.parametrize("charges", ["none", "funded"])
async def test_what_a_key_of_their_own_pays_for_counts_against_a_limit_and_is_no_credit(
    tmp_path: Path, charges: Charges
) -> None:
    platform, vaults = RecordingPlatform(), list[Vault]()

    def brought(store: SqliteStore) -> tuple[Vault, Build]:
        vaults.append(Vault(store, [b"v" * 32]))
        return vaults[0], lambda provider, key: (
            ScriptedAdapter(provider, (HELLO,) * 9),
            (card("own", 90, rates=RATES),),
        )

    billing, short_ones = Billing(charges, 2000, 2 * COST_URC), Limits(output_tokens_max=32)
    async with running_house(
        tmp_path, platform, {}, cards=[], billing=billing, limits=short_ones, brought=brought
    ) as open_:
        await vaults[0].keep(KeyOwner(W), ProviderName("own"), Secret("theirs"))
        await fund(open_.roadchain, 100)
        turns = [await open_.ask(asks("hello", str(number))) for number in range(3)]
        assert [outcome for _, outcome in turns] == ["answered", "answered", "refused"]
        assert await open_.journal(turns[0][0]) == PAID
        settled = [item.entry for item in await open_.all() if isinstance(item.entry.action, CreditSettled)]
        assert [entry.action for entry in settled] == [
            CreditSettled(f"{turn}-1", 0, "own", 0, counted=COST_URC) for turn, _ in turns[:2]
        ]
        assert [entry.postings for entry in settled] == [(), ()]
        assert await left(open_) == 100 * URC_PER_RC
        counter = Counter(W, ME_THERE, f"{datetime.now(UTC):%Y-%m-%d}")
        assert await open_.store.spent(counter) == 2 * COST_URC
        await open_.store.replay()
        assert await open_.store.spent(counter) == 2 * COST_URC
    first = platform.sent[0][2].footer
    assert first is not None
    assert first.price == rc_text(Money(COST_URC))
    assert platform.texts[1].endswith("is used up._")
    assert " is used up. It goes on tomorrow (UTC), or" in platform.texts[2]


async def test_what_is_left_of_a_limit_makes_an_answer_shorter_that_a_key_of_their_own_pays_for(tmp_path: Path) -> None:
    vaults = list[Vault]()

    def brought(store: SqliteStore) -> tuple[Vault, Build]:
        vaults.append(Vault(store, [b"v" * 32]))
        return vaults[0], lambda provider, key: (
            ScriptedAdapter(provider, (HELLO,) * 9),
            (card("own", 90, rates=RATES),),
        )

    billing = Billing("none", person_day_max=URC_PER_RC)  # 1,024 tokens come to a little more
    async with running_house(tmp_path, RecordingPlatform(), {}, cards=[], billing=billing, brought=brought) as open_:
        await vaults[0].keep(KeyOwner(W), ProviderName("own"), Secret("theirs"))
        turns = [await open_.ask(asks("hello", str(number))) for number in range(3)]
        assert [outcome for _, outcome in turns] == ["answered", "answered", "refused"]
        most = [
            action.output_tokens_max
            for action in (item.entry.action for item in await open_.all())
            if isinstance(action, ModelCalled)
        ]
        assert 512 <= most[1] < 600 < most[0] < 1_000


async def test_a_call_with_a_key_of_their_own_that_nobody_got_counts_all_the_same(tmp_path: Path) -> None:
    """The provider takes it from their key: asked and deleted again and again, it would pass any limit."""
    vaults, here = list[Vault](), Gate()
    script = ((TextDelta("four" * 1_000), WaitFor(here), answer(usage=USAGE)[-1]),)

    def brought(store: SqliteStore) -> tuple[Vault, Build]:
        vaults.append(Vault(store, [b"v" * 32]))
        return vaults[0], lambda provider, key: (ScriptedAdapter(provider, script), (card("own", 90, rates=RATES),))

    async with running_house(
        tmp_path, RecordingPlatform(), {}, cards=[], billing=Billing("none", 2000, URC_PER_RC * 10), brought=brought
    ) as open_:
        await vaults[0].keep(KeyOwner(W), ProviderName("own"), Secret("theirs"))
        accepted = await open_.intake.accept(asks("write me something long"))
        ended = asyncio.create_task(open_.intake.ended(accepted.turn))
        await here.reached.wait()
        await open_.door.withdraw(ME, "1")
        assert await ended == "withdrawn"
        actions = [item.entry.action for item in await open_.all()]
        (settled,) = (action for action in actions if isinstance(action, CreditSettled))
        assert settled.counted >= Price(RATES, 0).cost(Usage(0, 1_000))
        counter = Counter(W, ME_THERE, f"{datetime.now(UTC):%Y-%m-%d}")
        assert await open_.store.spent(counter) == settled.counted
        assert [row for row in await open_.store.balances() if row.balance] == []


def test_a_call_with_a_key_of_their_own_that_is_cut_off_counts_no_more_and_costs_the_house_nothing() -> None:
    hold = CreditReserved("h", 0, COST_URC, "own", "m", "", (), Price(RATES, 0).text)
    assert given_back(hold) == CreditVoided("h", "own")


async def test_at_eighty_and_a_hundred_per_cent_of_a_limit_the_answer_says_so_once(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    short = Limits(output_tokens_max=32)  # so that little is expected of a call
    billing = replace(FUNDED, person_day_max=5 * PRICE_URC)
    async with running_house(
        tmp_path, platform, [HELLO] * 9, cards=priced("scripted"), billing=billing, limits=short
    ) as open_:
        await fund(open_.roadchain, 100)
        for number in range(6):
            await open_.ask(asks("hello", str(number)))
    *before, fourth, fifth, refused = platform.texts
    assert before == ["Hello."] * 3
    assert fourth.endswith(" is used to 80 per cent._")
    assert fifth.endswith(" is used up._")
    assert " is used up. It goes on tomorrow (UTC), or" in refused


async def test_a_warning_says_how_much_of_the_limit_is_used_and_not_which_mark_was_passed(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    billing, short = replace(FUNDED, person_day_max=PRICE_URC * 2 * 100 // 96), Limits(output_tokens_max=32)
    async with running_house(
        tmp_path, platform, [HELLO] * 2, cards=priced("scripted"), billing=billing, limits=short
    ) as open_:
        await fund(open_.roadchain, 100)
        for number in range(2):
            await open_.ask(asks("hello", str(number)))
    assert platform.texts[0] == "Hello."
    assert platform.texts[1].endswith(" is used to 96 per cent._")


async def test_fifty_at_once_spend_no_more_than_is_there(tmp_path: Path) -> None:  # S22
    platform = RecordingPlatform()
    async with running_house(
        tmp_path, platform, [(Pause(0.05), *HELLO)] * 50, cards=priced("scripted"), billing=FUNDED
    ) as open_:
        await fund(open_.roadchain, 5)
        asked = (open_.ask(asks("hello", str(n), replace(ME, thread=str(n)))) for n in range(50))
        outcomes = [outcome for _, outcome in await asyncio.gather(*asked)]
        answered = outcomes.count("answered")
        assert outcomes.count("refused") == 50 - answered
        assert 3 <= answered < 50
        assert await left(open_) >= 0
        assert await balance(open_, f"L:ws:{W}:held") == 0
        settled = [
            recorded.entry.action for recorded in await open_.all() if isinstance(recorded.entry.action, CreditSettled)
        ]
        assert len(settled) == answered
        assert await left(open_) + await balance(open_, "R:usage") == 5 * URC_PER_RC


@pytest.mark.parametrize("entries", [1, 2, 4, 7, 9], ids=["accepted", "routed", "calling", "settled", "replied"])
async def test_after_any_crash_no_hold_is_left_and_nobody_pays_twice_or_for_nothing(
    tmp_path: Path, entries: int
) -> None:  # S17 to S21
    before = tmp_path / "before"
    before.mkdir()
    async with running_house(before, RecordingPlatform(), [HELLO], cards=priced("scripted"), billing=FUNDED) as open_:
        await fund(open_.roadchain, 100)
        turn, _ = await open_.ask(asks("hello"))
        journal = list(await open_.store.entries_of(turn))
    await _write(tmp_path, journal[:entries])
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, [HELLO], cards=priced("scripted"), billing=FUNDED) as open_:
        while (await open_.journal(turn))[-1] != "turn.finished":
            await asyncio.sleep(0.001)  # nobody is told of the end of a turn that another process accepted
        actions = [recorded.entry.action for recorded in await open_.store.entries_of(turn)]
        settled = [action for action in actions if isinstance(action, CreditSettled)]
        voided = [action for action in actions if isinstance(action, CreditVoided)]
        assert await balance(open_, f"L:ws:{W}:held") == 0
        assert len(settled) + len(voided) == 1
        assert await left(open_) == 100 * URC_PER_RC - (PRICE_URC if settled else 0)
        if voided:
            # The provider may bill what nobody has: that is the house's.
            assert await balance(open_, "X:absorbed") == voided[0].estimate > 0
            assert platform.texts[0].startswith("CarPool was stopped while scripted/m was answering")


async def _write(folder: Path, journal: list[Recorded]) -> None:
    """A ledger that ends with these entries, as a crash leaves it."""
    received = journal[0].entry.action
    assert isinstance(received, MessageReceived)
    store = await SqliteStore.open(folder / DATABASE)
    async with RoadChain(store) as roadchain:
        await roadchain.append(GENESIS)
        await fund(roadchain, 100)
        for recorded in journal:
            entry = recorded.entry
            scope = Scope(entry.workspace, entry.actor, received.conversation, entry.turn)
            await roadchain.append(Draft(entry.action, scope, entry.idem, recorded.body))
    await store.aclose()


async def test_an_answer_without_a_word_costs_nothing(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    script = [(Finished("stop", Usage(1_000, 200, reasoning=200)),)]
    async with running_house(tmp_path, platform, script, cards=priced("scripted"), billing=FUNDED) as open_:
        await fund(open_.roadchain, 100)
        _, outcome = await open_.ask(asks("hello"))
        assert (outcome, await left(open_)) == ("failed", 100 * URC_PER_RC)
        assert await balance(open_, "X:absorbed") == COST_URC  # the provider takes it all the same


async def test_the_footer_says_what_was_charged_and_not_what_was_waived(tmp_path: Path) -> None:  # S23
    platform = RecordingPlatform()
    script = [answer("Hello.", usage=Usage(100, 1_000_000))]
    async with running_house(tmp_path, platform, script, cards=priced("scripted"), billing=FUNDED) as open_:
        await fund(open_.roadchain, 6)
        await open_.ask(asks("hello"))
        assert await balance(open_, "R:usage") == 6 * URC_PER_RC
    footer = platform.sent[0][2].footer
    assert footer is not None
    assert footer.price == "6 RC"


@pytest.mark.parametrize("usage", [Usage(0, 5, cache_read=1_000_000), Usage(10, -7), Usage(10**15, 10**15)], ids=str)
async def test_usage_that_cannot_be_costs_nobody_the_answer(tmp_path: Path, usage: Usage) -> None:
    platform = RecordingPlatform()
    cards = priced("scripted", rates=Rates(2_000_000, 10_000_000, cache_read=200_000))
    async with running_house(tmp_path, platform, [answer("Hello.", usage=usage)], cards=cards, billing=FUNDED) as open_:
        await fund(open_.roadchain, 100)
        turn, outcome = await open_.ask(asks("hello"))
        assert (outcome, platform.texts) == ("answered", ["Hello."])
        (answered,) = [
            item.entry.action
            for item in await open_.store.entries_of(turn)
            if isinstance(item.entry.action, ModelAnswered)
        ]
        assert not answered.usage_known  # so it is estimated
        assert 99 * URC_PER_RC < await left(open_) < 100 * URC_PER_RC


async def test_where_the_best_model_has_no_price_the_next_one_answers(tmp_path: Path) -> None:
    adapters = scripts(unpriced=[HELLO] * 2, priced=[HELLO])
    cards = [replace(card("unpriced", 90), rates=None), card("priced", 80, rates=RATES)]
    async with running_house(tmp_path, RecordingPlatform(), adapters, cards=cards, billing=FUNDED) as open_:
        await open_.ask(asks("hello", "1"))
        assert await balance(open_, "R:usage") == 0  # nobody pays yet, so the best one is asked
        await fund(open_.roadchain, 100)
        assert (await open_.ask(asks("hello", "2")))[1] == "answered"
        assert await balance(open_, "R:usage") == PRICE_URC


async def test_an_answer_that_was_seen_as_it_came_is_not_given_back_where_its_last_post_fails(tmp_path: Path) -> None:
    # Who deletes the channel just before the end has read it all the same.
    platform = RecordingPlatform(live=True, fails=[PlatformError("the channel is gone", None)])
    async with running_house(tmp_path, platform, [HELLO], cards=priced("scripted"), billing=FUNDED) as open_:
        await fund(open_.roadchain, 100)
        turn, outcome = await open_.ask(asks("hello"))
        assert (outcome, platform.screens[turn].seen) == ("undelivered", "Hello.")
        assert await balance(open_, "R:usage") == PRICE_URC
