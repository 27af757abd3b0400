"""run_turn(): the whole story of one message, top to bottom."""

import asyncio
import contextlib
from dataclasses import replace
from typing import assert_never

from adapters.absent import AbsentAdapter
from adapters.base import ChatRequest, Patience
from adapters.messages import ModelName, ProviderName
from bot.agents.memory import compose, fit
from bot.agents.registry import CARPOOL
from bot.billing import given_back
from bot.commands.base import Asking, Decided
from bot.commands.table import run_command
from bot.context import read_context
from bot.errors import READ_ONLY
from bot.forgetting import forget_billing
from bot.giving_back import made_good, taken_back
from bot.guard import GuardedScreen, guarded
from bot.listening import Heard, Until, listen
from bot.lucidia.catalog import Catalog
from bot.lucidia.needs import needs_of
from bot.lucidia.router import route
from bot.paying import (
    call_paid,
    charged_for,
    input_tokens,
    left_open,
    letting_go,
    settling,
    sold,
    warning,
)
from bot.payloads import Said, encode_message, encode_said
from bot.plan import models_of_plan
from bot.reply import compose_reply, footer_of, maybe_delivered
from bot.run import House, Past, Run, Signs, draft_of, record, rules_in
from bot.story import Fact, Step, Story, after, next_step, tell
from bot.tokens import FAVOUR, tokens_in
from bot.tool_use import use_tools
from bot.undoing import take_back
from ledger.actions import (
    Candidate,
    CommandRun,
    ModelAnswered,
    ModelCalled,
    PayloadErased,
    ReplyPrepared,
    ReplySent,
    RouteChosen,
    StopAsked,
    TurnFinished,
    TurnOutcome,
)
from ledger.credit_actions import CreditRefused
from ledger.entry import Scope
from ledger.errors import InsufficientBalance, KeyReused, StoreFailed
from ledger.store import OpenTurn, Recorded


async def run_turn(claimed: OpenTurn, house: House, signs: Signs) -> TurnOutcome:
    """Carry a claimed turn to its end, from wherever its entries say that it is.

    On return the reply is with the person and ``turn.finished`` is on disk. Raises ``PlatformError`` where the reply could
    not be posted (the turn stays open, its reply prepared), ``StoreFailed`` where it could not be recorded, ``TakenOver``.
    """
    limits = house.limits
    platform, deadline_s = house.platforms[claimed.platform], asyncio.get_running_loop().time() + limits.turn_s
    scope = Scope(claimed.workspace, claimed.actor, claimed.conversation, claimed.turn)
    facts = [_inherited(recorded) for recorded in await house.desk.store.entries_of(claimed.turn)]
    if any(isinstance(fact.action, StopAsked) for fact in facts):
        signs.stop.set()
    story = tell(scope, facts)
    run = Run(house, platform, signs, deadline_s, Past(), platform.screen(story.asked.address, claimed.turn))
    while True:
        if signs.withdrawn.is_set() and story.reply is None:
            story = replace(story, withdrawn=True)
        step = next_step(story, calls_max=limits.calls_max, tool_rounds_max=limits.tool_rounds_max)
        if step == "done":
            if story.outcome is None:
                raise AssertionError("a turn that is done has an outcome")
            return story.outcome
        try:
            story = await _taken(step, story, run)
        except StoreFailed as error:
            if error.reason == "changed" and story.reply is None:
                # Nothing more can be recorded of it, and so nothing more is said; but whoever waits is told.
                await run.screen.discard()
                await platform.say_aside(story.asked.address, house.desk.say(READ_ONLY))
            raise


async def _taken(step: Step, story: Story, run: Run) -> Story:
    """The story after its next step."""
    match step:
        case "run_command":
            return await _run_command(story, run)
        case "read_context":
            return await read_context(story, run)
        case "route":
            return await _route(story, run)
        case "call_model":
            return await _call_model(story, run)
        case "use_tools":
            return await use_tools(story, run)
        case "prepare_reply":
            note = await warning(story, run)
            return await record(story, run, *letting_go(story), await _prepared(story, run, note))
        case "deliver_reply":
            return await _deliver(story, run)
        case "finish" if story.withdrawn:
            return await _discard(story, run)
        case "finish":
            return await record(story, run, (_finished(story), None))
        case "done":
            return story
        case _:
            assert_never(step)


async def _run_command(story: Story, run: Run) -> Story:
    name, _, arguments = story.asked.invocation.partition(" ")
    if story.command is None:
        story = await record(story, run, (CommandRun(name), arguments.encode()))
    rules = await rules_in(story, run)
    role = rules.role(story.asked.standing, story.scope.actor)
    asking = Asking(story.scope, story.seq, arguments, story.asked.address, role, rules)
    result = await run_command(name, asking, run.house.desk)
    if result.undo is not None:
        story, taken = await take_back(result.undo, story, run)
        reply = ReplyPrepared(1, "command", "command")
        return await record(story, run, *taken.entries, (reply, encode_said(Said(taken.text))))
    if result.forget:
        result = replace(result, text=await forget_billing(story.scope, run))
    changes = ((change, None) for change in result.changes)
    reply = ReplyPrepared(1, "command", "command")
    said = encode_said(Said(result.text, result.files, result.buttons))
    for decision in result.decided:
        await _decide(story, run, decision)
    try:
        return await record(story, run, *changes, (reply, said), beside=result.told)
    except InsufficientBalance as error:  # it was spent since the command looked
        refused = CreditRefused(f"{name}.change", error.code.value)
        said = encode_said(Said(run.house.desk.say("It was spent in this moment. Nothing was moved.")))
        return await record(story, run, (refused, None), (reply, said))


async def _decide(story: Story, run: Run, decision: Decided) -> None:
    """Record it with the turn that waits for it; that one goes on. Where another was faster, theirs counts."""
    scope = replace(story.scope, turn=decision.turn, conversation=decision.conversation)
    with contextlib.suppress(KeyReused):
        await run.house.roadchain.append(draft_of(scope, decision.action, None))


async def _route(story: Story, run: Run) -> Story:
    """Lucidia decides. Nothing leaves the house, so the decision alone is recorded."""
    desk, limits = run.house.desk, run.house.limits
    messages = compose(CARPOOL, (), story.question, 0)
    past_tokens = sum(tokens_in(message) for message in await run.past.of(story, run.house))
    # Tools are offered to a model that can use them; that there are some is no reason to refuse one that cannot.
    needs = needs_of(messages, limits.output_tokens_max, False, past_tokens)
    conversation = await desk.store.conversation(story.scope.conversation)
    connected = await desk.connections.of(story.scope)
    pinned = "" if conversation is None else conversation.pinned_model
    health = await desk.watch.look(connected.owners)
    plan = await models_of_plan(desk.store, desk.billing.plans, story.scope.workspace, connected.own)
    policy = replace((await rules_in(story, run)).policy(desk.policy), plan=plan)
    catalog = await sold(story, run, connected.catalog, connected.own, (pinned, policy.pinned))
    decision = route(needs, catalog, pinned, policy, health, say=desk.say)
    candidates = tuple(
        Candidate(choice.card.provider, choice.card.model, choice.estimated_cost) for choice in decision.candidates
    )
    return await record(story, run, (RouteChosen(candidates, decision.reason), None))


async def _call_model(story: Story, run: Run) -> Story:
    """Ask the next candidate. The call is on RoadChain before it leaves, and what came of it before anybody is told."""
    index = story.next_candidate
    if index is None:
        raise AssertionError("a model is called while a candidate is left")
    chosen = story.candidate(index)
    connected = await run.house.desk.connections.of(story.scope)
    request = await _request(story, run, chosen, connected.catalog)
    attempt = len(story.attempts) + 1
    provider = ProviderName(chosen.provider)
    key = connected.owners.get(provider, "")
    called = ModelCalled(attempt, index, chosen.provider, chosen.model, request.max_output_tokens, key)
    story, request = await call_paid(story, run, called, request, connected.catalog)
    if story.reply is not None:
        return story
    await run.screen.begin()
    if story.last is not None and story.interim:
        # Behind what was said before a tool was used, as in the reply.
        await run.screen.show("\n\n")
    # Its key may have been removed since the decision: then the next candidate is asked.
    adapter = connected.adapters.get(provider) or AbsentAdapter(provider)
    screen = GuardedScreen(run.screen, story, run, attempt)
    # Where nobody is charged, nobody waits for the exact figure.
    drain_s = 0 if story.hold is None else run.house.limits.drain_s
    until = Until(run.signs.stop, run.signs.withdrawn, request.timeout_s, drain_s)
    heard = await listen(adapter.chat(request), screen, until)
    await screen.end()
    answered = (answered_of(attempt, heard), encode_message(heard.message()))
    withdrawn = run.signs.withdrawn.is_set()
    paid = settling(story.hold, answered[0], heard, input_tokens(request, FAVOUR), withdrawn=withdrawn)
    # Where this is the answer, it and the reply made of it are one durable step: no answer without its outbox.
    ahead = after(story, Fact(answered[0], -1, answered[1], False))
    limits = run.house.limits
    step = next_step(ahead, calls_max=limits.calls_max, tool_rounds_max=limits.tool_rounds_max)
    if step == "prepare_reply" and not withdrawn:
        note = await warning(story, run, paid)
        return await record(story, run, *paid, answered, await _prepared(ahead, run, note))
    return await record(story, run, *paid, answered)


async def _request(story: Story, run: Run, chosen: Candidate, catalog: Catalog) -> ChatRequest:
    limits = run.house.limits
    card = catalog.find(f"{chosen.provider}/{chosen.model}")
    output = limits.output_tokens_max if card is None else min(limits.output_tokens_max, card.output_tokens_max)
    room = 0 if card is None else card.context_tokens - output
    said = await run.past.of(story, run.house)
    provider = ProviderName(chosen.provider)
    past, rounds = fit(said, provider, card), fit(story.tool_rounds, provider, card)
    (question,) = fit((story.question,), provider, card)
    messages = compose(CARPOOL, past, question, room, rounds)
    left_s = max(0.0, run.deadline_s - asyncio.get_running_loop().time())
    patience = Patience(limits.first_token_s, limits.between_tokens_s)
    effort = run.house.desk.policy.effort if card is not None and card.reasons else None
    able, scope = card is not None and card.uses_tools, story.scope
    tools = await run.house.toolbox.offered(scope.workspace, scope.actor) if able else ()
    return ChatRequest(ModelName(chosen.model), messages, output, left_s, tools, patience=patience, effort=effort)


async def _deliver(story: Story, run: Run) -> Story:
    """Post the reply. One that an earlier run may have posted is looked for first, and never posted a second time."""
    reply = story.reply
    if reply is None:
        raise AssertionError("a reply is prepared before it is delivered")
    desk = run.house.desk
    address, turn, part = story.asked.address, story.scope.turn, reply.action.part
    presence = await run.platform.find(address, turn, part) if reply.inherited else "absent"
    if presence == "unknown" and reply.action.kind == "answer":
        return await record(story, run, maybe_delivered(story, run.house.limits, desk.say))
    if presence != "there":
        catalog = (await desk.connections.of(story.scope)).catalog
        charged = replace(story, charged=await charged_for(story, run))
        await run.platform.send(address, turn, part, footer_of(charged, catalog, run.house.toolbox, desk.say))
    sent = (ReplySent(part, found=presence == "there"), None)
    # The last two entries are one durable step: after the reply nothing is left to do.
    return await record(story, run, sent, (_finished(story), None))


async def _discard(story: Story, run: Run) -> Story:
    """Nobody wants an answer any more: what was shown of it goes, and the texts with it."""
    await run.screen.discard()
    erased = PayloadErased("turn", story.scope.turn)
    return await record(story, run, *letting_go(story), (erased, None), (_finished(story), None))


async def _prepared(story: Story, run: Run, note: str = "") -> tuple[ReplyPrepared, bytes]:
    kind, outcome, text = compose_reply(await guarded(story, run), run.house.limits, run.house.desk.say)
    text += f"\n\n_{note}_" if note else ""
    return ReplyPrepared(1, kind, outcome), text.encode()


def _finished(story: Story) -> TurnFinished:
    if story.withdrawn:
        return TurnFinished("withdrawn")
    return TurnFinished("failed" if story.reply is None else story.reply.action.outcome)


async def give_up(claimed: OpenTurn, house: House, outcome: TurnOutcome) -> None:
    """Close a turn whose reply cannot be brought to anybody. Durable on return."""
    scope = Scope(claimed.workspace, claimed.actor, claimed.conversation, claimed.turn)
    entries = [recorded.entry for recorded in await house.desk.store.entries_of(claimed.turn)]
    finished = draft_of(scope, TurnFinished(outcome), None)
    try:
        await house.roadchain.append(*taken_back(scope, entries), finished)
    except InsufficientBalance:
        await house.roadchain.append(*made_good(scope, entries), finished)


async def apologise(claimed: OpenTurn, house: House, text: str) -> None:
    """Prepare a notice in place of a reply that a fault of ours kept from being made. Durable on return."""
    scope = Scope(claimed.workspace, claimed.actor, claimed.conversation, claimed.turn)
    holds = left_open(recorded.entry.action for recorded in await house.desk.store.entries_of(claimed.turn))
    returned = [draft_of(scope, given_back(hold), None) for hold in holds]
    await house.roadchain.append(*returned, draft_of(scope, ReplyPrepared(1, "notice", "failed"), text.encode()))


def answered_of(attempt: int, heard: Heard) -> ModelAnswered:
    """What came of an attempt, as it is recorded."""
    finished = heard.finished if heard.outcome == "answered" else None
    usage = None if heard.finished is None else heard.finished.usage
    if usage is not None and not usage.is_possible:
        usage = None  # a server behind a base address may tell anything
    retry_after_s = None if heard.error is None else heard.error.retry_after_s
    return ModelAnswered(
        attempt=attempt,
        outcome=heard.outcome,
        finish_reason="" if finished is None else finished.reason,
        error="" if heard.error is None else heard.error.code,
        shown=heard.shown,
        usage_known=usage is not None,
        input_tokens=0 if usage is None else usage.input,
        output_tokens=0 if usage is None else usage.output,
        cache_read_tokens=0 if usage is None else usage.cache_read,
        cache_write_tokens=0 if usage is None else usage.cache_write,
        reasoning_tokens=0 if usage is None else usage.reasoning,
        first_event_us=heard.first_event_us,
        took_us=heard.took_us,
        retry_after_s=None if retry_after_s is None else round(retry_after_s),
    )


def _inherited(recorded: Recorded) -> Fact:
    return Fact(recorded.entry.action, recorded.entry.seq, recorded.body, True)
