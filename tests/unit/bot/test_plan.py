"""A plan and the models that it names: who is asked while it runs, what a person reads, and what it leaves alone."""

from dataclasses import replace
from pathlib import Path

from adapters.messages import ProviderName
from adapters.scripted import ScriptedAdapter, answer
from bot.billing import Billing
from bot.commands.table import completing
from bot.connections import Build, Built
from bot.lucidia.catalog import Catalog
from bot.lucidia.needs import Needs
from bot.lucidia.policy import PlanModels, Policy
from bot.lucidia.router import route
from bot.plan import RunningPlan, running_plan
from bot.platforms.base import Filled, Taken
from bot.rules import rules_of
from bot.secret import Secret
from bot.vault import KeyOwner, Vault
from integrations.payments.plans import Plan, Plans
from integrations.storage.sqlite import SqliteStore
from ledger.actions import ModelCalled, RouteChosen, SettingChanged
from ledger.credit_actions import CreditExpired, PlanGranted
from ledger.entry import Draft, Scope
from ledger.money import URC_PER_RC, Money
from ledger.pseudonyms import ConversationId, TurnId
from ledger.roadchain import RoadChain
from tests.house import ME, PSEUDONYMS, Open, RecordingPlatform, asks, card, running_house

RC = Money(URC_PER_RC)
PRO = Plan("pro", "price_1", RC, RC, ("small/*", "brought/x"))
TOP = Plan("top", "price_2", RC, RC)
BILLING = Billing(plans=Plans((PRO, TOP)))
W = PSEUDONYMS.workspace(ME.platform, ME.workspace)
ME_THERE = PSEUDONYMS.actor(ME.platform, ME.workspace, ME.person)
SCOPE = Scope(W, ME_THERE, ConversationId(""), TurnId(""))
HOW = "`/billing subscribe` shows the plans, `/billing portal` changes the one that runs"
CARDS = [card("great", 90), card("small", 10)]


def adapters(*names: str) -> dict[str, ScriptedAdapter]:
    return {name: ScriptedAdapter(ProviderName(name), (answer(f"of {name}"),) * 9) for name in names}


async def granted(roadchain: RoadChain, plan: str, key: str) -> None:
    await roadchain.append(Draft(PlanGranted("stripe", plan, URC_PER_RC, 0), SCOPE, key))


async def ended(roadchain: RoadChain, key: str) -> None:
    await roadchain.append(Draft(CreditExpired("plan"), SCOPE, key))


async def routed(open_: Open, event: str) -> RouteChosen:
    turn, _ = await open_.ask(asks("hello", event))
    entries = await open_.store.entries_of(turn)
    (chosen,) = [one.entry.action for one in entries if isinstance(one.entry.action, RouteChosen)]
    return chosen


async def test_while_a_plan_runs_only_its_models_are_asked(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    async with running_house(
        tmp_path, platform, adapters("great", "small"), cards=CARDS, billing=BILLING, policy=Policy("best")
    ) as open_:
        seen: list[list[str]] = []
        for number, change in enumerate(("", "pro", "over", "pro", "top")):
            match change:
                case "":
                    pass
                case "over":
                    await ended(open_.roadchain, "over")
                case plan:
                    await granted(open_.roadchain, plan, f"{plan}-{number}")
            chosen = await routed(open_, str(number))
            seen.append([str(candidate.provider) for candidate in chosen.candidates])
    both = ["great", "small"]
    assert seen == [both, ["small"], both, ["small"], both]
    assert platform.texts == ["of great", "of small", "of great", "of small", "of great"]


async def test_a_model_beyond_the_plan_is_not_asked_and_the_person_reads_why_and_what_to_do(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, adapters("great", "small"), cards=CARDS, billing=BILLING) as open_:
        await open_.ask(asks("/model great/m", "1"))
        await granted(open_.roadchain, "pro", "pro")
        pinned = await routed(open_, "2")
        await open_.ask(asks("/model great/m", "3"))
        await open_.ask(asks("/model", "4"))
        await open_.ask(asks("/model auto", "5"))
        everywhere = Draft(SettingChanged("model", "great/m", ConversationId("")), SCOPE, "everywhere")
        await open_.roadchain.append(everywhere)
        preferred = await routed(open_, "6")
    assert pinned.reason == f"great/m, which you chose, is not in the plan pro; small/m can serve this ({HOW})"
    assert preferred.reason == (
        f"great/m, the model of this workspace, is not in the plan pro; small/m can serve this ({HOW})"
    )
    assert platform.texts[2] == (
        f"great/m is not in the plan pro, so it would not be asked: nothing was changed. {HOW}."
    )
    assert "- `great/m` (chosen here) (not in the plan pro), " in platform.texts[3]
    assert "- `small/m`, " in platform.texts[3]
    footer = platform.sent[1][2].footer
    assert footer is not None
    assert HOW in footer.reason


async def test_the_model_of_a_workspace_is_one_of_its_plan(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    beyond = f"great/m is not in the plan pro, so it would not be asked. {HOW}."
    async with running_house(tmp_path, platform, adapters("great", "small"), cards=CARDS, billing=BILLING) as open_:

        async def says(text: str) -> str:
            await open_.ask(replace(asks(text, f"{len(platform.sent)}"), standing="owner"))
            return platform.texts[-1]

        async def fills(event: str, model: str, **values: str) -> Taken:
            given = {"policy": "best", "guests": "refused", "providers": "", "budget": "", "model": model, **values}
            return await open_.door.fill(Filled(ME, event, "owner", "settings", given))

        assert await says("/settings model great/m") == "From now on, the model that goes first: great/m."
        await granted(open_.roadchain, "pro", "pro")
        # What was set before the plan ran does not keep anybody from setting the rest.
        assert (await fills("f1", "great/m")).text == "From now on, what decides among models: best."
        assert await says("/settings model small/m") == "From now on, the model that goes first: small/m."
        assert await says("/settings model great/m") == f"{beyond} Nothing was changed."
        assert await says("/settings model GREAT/M") == f"{beyond} Nothing was changed."
        assert dict((await fills("f2", "great/m", policy="cheapest")).errors) == {"model": beyond}
        rules = rules_of(await open_.store.settings(W))
        assert (rules.model, rules.aim) == ("small/m", "best")
        assert await says("/settings model default") == "From now on, the model that goes first: Lucidia chooses."
        await granted(open_.roadchain, "top", "top")
        assert await says("/settings model great/m") == "From now on, the model that goes first: great/m."


async def test_only_the_models_of_the_plan_complete_a_line(tmp_path: Path) -> None:
    async with running_house(
        tmp_path, RecordingPlatform(), adapters("great", "small"), cards=CARDS, billing=BILLING
    ) as open_:
        before = (await completing(open_.house.desk, ME))("/model ")
        await granted(open_.roadchain, "pro", "pro")
        complete = await completing(open_.house.desk, ME)
        await granted(open_.roadchain, "top", "top")
        after = (await completing(open_.house.desk, ME))("/model ")
    assert complete("/model ") == ("/model auto", "/model small/m")
    assert complete("/model gr") == ()
    assert before == after == ("/model auto", "/model great/m", "/model small/m")


async def test_where_the_plan_has_no_connected_model_the_person_reads_what_to_do(tmp_path: Path) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform, adapters("great"), billing=BILLING) as open_:
        await granted(open_.roadchain, "pro", "pro")
        _, outcome = await open_.ask(asks("hello"))
    assert outcome == "failed"
    assert f"great/m is not in the plan pro ({HOW}). `/model` shows what is connected." in platform.texts[0]


async def test_a_key_that_somebody_brought_is_not_limited_by_a_plan_and_one_of_the_house_is(tmp_path: Path) -> None:
    platform, vaults = RecordingPlatform(), list[Vault]()

    def build(provider: ProviderName, key: Secret) -> Built | None:
        return ScriptedAdapter(provider, (answer(f"with {key.reveal()}"),) * 9), (card("great", 90),)

    def brought(store: SqliteStore) -> tuple[Vault, Build]:
        vaults.append(Vault(store, [b"v" * 32]))
        return vaults[0], build

    best = Policy("best")
    async with running_house(
        tmp_path, platform, adapters("great", "small"), cards=CARDS, billing=BILLING, policy=best, brought=brought
    ) as open_:
        await granted(open_.roadchain, "pro", "pro")
        for number, owner in enumerate((KeyOwner(), KeyOwner(W), KeyOwner(W, ME_THERE))):
            await vaults[0].keep(owner, ProviderName("great"), Secret(f"key {number}"))
            turn, _ = await open_.ask(asks("hello", str(number)))
        offered = (await completing(open_.house.desk, ME))("/model g")
        entries = [one.entry.action for one in await open_.store.entries_of(turn)]
    (called,) = [action for action in entries if isinstance(action, ModelCalled)]
    assert offered == ("/model great/m",)
    assert (called.provider, called.key) == ("great", KeyOwner(W, ME_THERE).text)
    assert platform.texts == ["of small", "with key 1", "with key 2"]


async def test_a_plan_that_is_offered_no_more_limits_nothing_and_another_pool_that_expires_ends_none(
    tmp_path: Path,
) -> None:
    async with running_house(tmp_path, RecordingPlatform(), billing=BILLING) as open_:
        assert await running_plan(open_.store, BILLING.plans, W) is None
        await granted(open_.roadchain, "pro", "pro")
        await open_.roadchain.append(Draft(CreditExpired("paid"), SCOPE, "paid"))
        assert await running_plan(open_.store, BILLING.plans, W) == RunningPlan("pro", PRO.models)
        await granted(open_.roadchain, "old", "old")
        assert await running_plan(open_.store, BILLING.plans, W) == RunningPlan("old", ())


def test_a_reason_names_what_helps_once_and_only_where_the_plan_is_the_reason() -> None:
    needs = Needs(1, 1, images=False, files=False, tools=False)
    many = Catalog.of([card(f"p{number}") for number in range(5)])
    none = route(needs, many, "", Policy(plan=PlanModels("pro", ("q/*",))))
    assert none.candidates == ()
    assert none.reason == (
        f"p0/m is not in the plan pro; p1/m is not in the plan pro; p2/m is not in the plan pro; nor can 2 more ({HOW})"
    )
    seen = Needs(1, 1, images=True, files=False, tools=False)
    assert "/billing" not in route(seen, many, "", Policy(plan=PlanModels("pro", ("p*",)))).reason
