"""Reserve, call, settle: what a call of a model has to do with credit, in the same entries that journal the turn.

A call that costs credit is recorded together with its hold, and its answer together with what it came to: no durable step is
added. Where the workspace pays nothing, nothing here reads or records anything.
"""

from collections.abc import Callable, Collection, Iterable, Sequence, Set
from dataclasses import replace

from adapters.base import ChatRequest
from adapters.messages import ProviderName, ToolCall, Usage
from bot.billing import (
    NO_CAPS,
    SHORT_ANSWER_TOKENS,
    Billing,
    Caps,
    Held,
    Price,
    Purse,
    Short,
    beyond_sentence,
    closed,
    counted,
    estimated,
    given_back,
    hold_for,
    limit_sentence,
    limits_of,
    longest,
    pays,
    price_of,
    purse_of,
    reserved,
    short_sentence,
    warned_at,
    warning_sentence,
)
from bot.errors import Trouble, explain
from bot.giving_back import charge_of
from bot.listening import Heard
from bot.lucidia.catalog import Catalog, ModelCard
from bot.lucidia.costs import usage_of
from bot.plan import Overage, overage_of
from bot.run import Run, record, rules_in
from bot.story import Story
from bot.tokens import CEILING, Estimate, tokens_in, tokens_in_text
from ledger.accounts import AMOUNT_MAX, period_of
from ledger.actions import Action, ModelAnswered, ModelCalled, ReplyPrepared
from ledger.book import Counter
from ledger.credit_actions import (
    CreditRefused,
    CreditReserved,
    CreditSettled,
    CreditVoided,
    Limit,
)
from ledger.errors import Code, InsufficientBalance, LimitReached
from ledger.money import FREE, Money
from ledger.pseudonyms import ConversationId

NO_PRICE = "{0} has no price here, so it cannot be charged for. `/model` shows others."


async def call_paid(
    story: Story, run: Run, called: ModelCalled, request: ChatRequest, catalog: Catalog
) -> tuple[Story, ChatRequest]:
    """Record that the call is about to leave, with its hold where it costs credit. Durable on return.

    Little credit makes the answer shorter, and so does what is left of a limit. Where it is too little the story has its reply
    instead: that says what helps.
    """
    billing = run.house.desk.billing
    if _is_own(called):
        return await _counted(story, run, called, request, catalog)
    if billing.charges == "none":
        return await record(story, run, (called, None)), request
    card = catalog.find(f"{called.provider}/{called.model}")
    tokens = input_tokens(request)
    price = price_of(card, tokens, billing.markup_bps)
    if price is None:
        if not pays(billing, await _purse(story, run), own_key=False):
            return await record(story, run, (called, None)), request
        model = f"{called.provider}/{called.model}"
        return await _refused(story, run, Code.INVALID_ENTRY_TYPE, run.house.desk.say(NO_PRICE, model)), request
    if price.is_free:
        return await record(story, run, (called, None)), request
    try:
        whole = Held(price.ceiling(tokens, request.max_output_tokens), request.max_output_tokens)
        return await _held(story, run, called, price, whole, request), request
    except (InsufficientBalance, LimitReached):
        return await _with_less(story, run, called, request, price, catalog)


async def _counted(
    story: Story, run: Run, called: ModelCalled, request: ChatRequest, catalog: Catalog
) -> tuple[Story, ChatRequest]:
    """A key of the asker's own pays for it: no credit is held, but the limits hold, at what the provider takes. Where there is
    none, or nobody knows the price, nothing is recorded of it."""
    price = price_of(catalog.find(f"{called.provider}/{called.model}"), input_tokens(request), markup_bps=0)
    if await _caps(story, run) == NO_CAPS or price is None or price.is_free:
        return await record(story, run, (called, None)), request
    try:
        return await _count(story, run, called, price, request), request
    except LimitReached:
        pass
    try:
        output_tokens = await _within_limits(story, run, request, price.cost, request.max_output_tokens)
        request = replace(request, max_output_tokens=output_tokens)
        return await _count(story, run, replace(called, output_tokens_max=output_tokens), price, request), request
    except LimitReached as error:
        return await _limited(story, run, error, request, catalog)


async def _count(story: Story, run: Run, called: ModelCalled, price: Price, request: ChatRequest) -> Story:
    expected = price.cost(_most(request, request.max_output_tokens))
    limits, chosen = await spending_limits(story, run), story.candidate(called.candidate)
    hold = counted(f"{story.scope.turn}-{called.attempt}", expected, price, chosen, limits)
    return await record(story, run, (hold, None), (called, None))


async def _with_less(
    story: Story, run: Run, called: ModelCalled, request: ChatRequest, price: Price, catalog: Catalog
) -> tuple[Story, ChatRequest]:
    """Credit or a limit is too little for all of the answer: what may be paid later helps; else as much of it as can be paid for,
    or a reason."""
    purse, later = await means(story, run)
    if not pays(run.house.desk.billing, purse, own_key=False):
        return await record(story, run, (called, None)), request
    tokens = input_tokens(request)
    spendable = Money(purse.spendable + (0 if later is None else later.left))
    found = hold_for(price, tokens, request.max_output_tokens, spendable)
    if isinstance(found, Short):
        return await _short(story, run, found, request, catalog), request
    try:
        output_tokens = await _within_limits(story, run, request, price.charge, found.output_tokens)
        held = Held(price.ceiling(tokens, output_tokens), output_tokens)
        shorter = replace(called, output_tokens_max=output_tokens)
        story = await _held(story, run, shorter, price, held, request, later)
    except InsufficientBalance:  # others were faster
        return await _short(story, run, Short(found.amount, spendable), request, catalog), request
    except LimitReached as error:
        return await _limited(story, run, error, request, catalog)
    return story, replace(request, max_output_tokens=output_tokens)


async def _within_limits(
    story: Story, run: Run, request: ChatRequest, cost: Callable[[Usage], Money], output_tokens_max: int
) -> int:
    """How long the answer may be so that no limit is passed. Raises ``LimitReached`` where that is too short to be of use."""
    for limit in await spending_limits(story, run):
        if limit.cap >= AMOUNT_MAX:
            continue
        spent = await run.house.desk.store.spent(Counter(story.scope.workspace, limit.subject, limit.period))
        fits = longest(
            lambda count: cost(_most(request, count)), SHORT_ANSWER_TOKENS, output_tokens_max, limit.cap - spent
        )
        if fits is None:
            raise LimitReached(limit.subject, limit.period, spent, limit.cap)
        output_tokens_max = fits
    return output_tokens_max


def settling(
    hold: CreditReserved | None, answered: ModelAnswered, heard: Heard, tokens: int, *, withdrawn: bool
) -> tuple[tuple[Action, None], ...]:
    """What the call came to, to be recorded with its answer; nothing where nothing was held. ``tokens`` is an estimate, in the
    person's favour, of what was asked with, for a provider that tells no usage. ``withdrawn``: the question is gone, and no reply
    is posted."""
    if hold is None:
        return ()
    text = heard.message().text
    got, made = None, None
    if answered.usage_known:
        got = made = usage_of(answered)
    elif heard.came_bytes:
        made = estimated(tokens, heard.came_bytes)
        got = made if text else None  # with what was thought for it: its provider counts that
    elif heard.may_cost:
        return ((given_back(hold), None),)
    return ((closed(hold, got if _is_gotten(answered, heard, withdrawn=withdrawn) else None, made), None),)


def _is_gotten(answered: ModelAnswered, heard: Heard, *, withdrawn: bool) -> bool:
    """Whether the person gets what was said, as it came or in the reply; or tools do what was asked of them. As ``bot.reply``
    makes it: what a failed model said is in there only where it was shown, since another is asked in its place."""
    if answered.shown:
        return True
    if withdrawn or answered.outcome == "failed":
        return False
    said = heard.message()
    return bool(said.text.strip()) or any(isinstance(part, ToolCall) for part in said.parts)


async def warning(story: Story, run: Run, paid: Sequence[tuple[Action, None]] = ()) -> str:
    """What the person is told where this turn passes 80 or 100 per cent of a limit, or of what may be used beyond the plan's
    credit, by its tools too; else nothing. ``paid`` is what is about to be settled, and all else that is held is given back.
    Reads where something was spent and there is such a limit."""
    price = sum(action.price + action.counted for action, _ in paid if isinstance(action, CreditSettled))
    if not price + story.spent:
        return ""
    notes = (await _limit_used(story, run, price), await _beyond_used(story, run, price))
    return " ".join(filter(None, notes))


async def _limit_used(story: Story, run: Run, price: int) -> str:
    limits = await spending_limits(story, run) if story.hold is None else story.hold.limits
    for limit in limits:
        if limit.cap >= AMOUNT_MAX:
            continue
        counter = Counter(story.scope.workspace, limit.subject, limit.period)
        held = sum(hold.expected for hold in story.holds)  # the holds themselves count until they are settled
        spent = await run.house.desk.store.spent(counter) - held + price
        if warned_at(spent - price - story.spent, spent, limit.cap):
            return warning_sentence(limit.subject, limit.period, spent, limit.cap, story.scope, run.house.desk.say)
    return ""


async def _beyond_used(story: Story, run: Run, price: int) -> str:
    desk = run.house.desk
    if not any(plan.meter for plan in desk.billing.plans.all):
        return ""
    _, later = await means(story, run)
    if later is None or not later.used:
        return ""
    moved, drawn = 0, dict[str, int]()
    for recorded in await desk.store.entries_of(story.scope.turn):
        entry = recorded.entry
        amount = sum(item.amount for item in entry.postings if period_of(item.account, "overage") == later.period)
        moved += amount
        if isinstance(entry.action, CreditReserved):
            drawn[entry.action.hold] = amount
    used = later.used - sum(drawn.get(hold.hold, 0) for hold in story.holds)
    if story.hold is not None:  # what is drawn of it is drawn last, and returned first
        mine = drawn.get(story.hold.hold, 0)
        used += min(mine, max(0, price - (story.hold.amount - mine)))
    return beyond_sentence(used, later.most, desk.say) if warned_at(later.used - moved, used, later.most) else ""


def letting_go(story: Story) -> tuple[tuple[Action, None], ...]:
    """The holds of what was cut off: they are given back whole."""
    return tuple((given_back(hold), None) for hold in story.holds)


def left_open(actions: Iterable[Action]) -> tuple[CreditReserved, ...]:
    """The holds that a turn's entries leave open."""
    holds: dict[str, CreditReserved] = {}
    for action in actions:
        if isinstance(action, CreditReserved):
            holds[action.hold] = action
        elif isinstance(action, CreditSettled | CreditVoided):
            holds.pop(action.hold, None)
    return tuple(holds.values())


async def charged_for(story: Story, run: Run) -> int | None:
    """What this turn was charged: its prices, less what was waived where one was more than was there. None for nothing."""
    if not story.exceeded:
        return story.charged
    return sum(charge_of(recorded.entry) for recorded in await run.house.desk.store.entries_of(story.scope.turn))


async def sold(story: Story, run: Run, catalog: Catalog, own: Set[ProviderName], chosen: Collection[str]) -> Catalog:
    """Without the models that cannot be charged for, where answers cost credit: Lucidia asks none of them by itself. Those that
    people chose stay, and so do all where there are no others: then the call says what is missing."""
    billing = run.house.desk.billing
    cards = [card for card in catalog.cards if _can_be_sold(card) or card.provider in own or card.label in chosen]
    if billing.charges == "none" or not cards or len(cards) == len(catalog.cards):
        return catalog
    return Catalog(tuple(cards)) if pays(billing, await _purse(story, run), own_key=False) else catalog


def _can_be_sold(card: ModelCard) -> bool:
    return price_of(card, card.context_tokens, 0) is not None


def input_tokens(request: ChatRequest, by: Estimate = CEILING) -> int:
    tools = sum(tokens_in_text(f"{tool.name}{tool.description}{tool.parameters}", by) for tool in request.tools)
    return tools + sum(tokens_in(message, by) for message in request.messages)


def _most(request: ChatRequest, output_tokens: int) -> Usage:
    """What this request may take, with all that it asks with: in a later round what tools said goes along, of which nobody knew
    when the route was chosen. Nothing of it is thought to be written to a cache, which only a hold allows for."""
    return Usage(input_tokens(request), output_tokens)


async def _held(
    story: Story,
    run: Run,
    called: ModelCalled,
    price: Price,
    held: Held,
    request: ChatRequest,
    later: Overage | None = None,
) -> Story:
    chosen = story.candidate(called.candidate)
    expected = price.charge(_most(request, held.output_tokens))
    limits = await spending_limits(story, run)
    hold = reserved(f"{story.scope.turn}-{called.attempt}", held, price, expected, chosen, limits)
    if later is not None:
        hold = replace(hold, overage_period=later.period, overage_max=later.most)
    return await record(story, run, (hold, None), (called, None))


async def spending_limits(story: Story, run: Run) -> tuple[Limit, ...]:
    """What each use of this turn counts towards."""
    return limits_of(story.scope, _channel(story, run), await _caps(story, run), run.house.desk.clock())


def _channel(story: Story, run: Run) -> ConversationId:
    address = story.asked.address
    return run.house.desk.pseudonyms.conversation(address.platform, address.workspace, address.channel, "")


async def _caps(story: Story, run: Run) -> Caps:
    return (await rules_in(story, run)).caps(run.house.desk.billing.caps, _channel(story, run))


async def _purse(story: Story, run: Run) -> Purse:
    desk, scope = run.house.desk, story.scope
    return purse_of(await desk.store.balances_of(scope.workspace), scope.workspace, scope.actor, desk.clock())


async def means(story: Story, run: Run) -> tuple[Purse, Overage | None]:
    """What there is, and what may be used beyond it; nothing may where something is owed."""
    desk, scope = run.house.desk, story.scope
    rows = await desk.store.balances_of(scope.workspace)
    purse = purse_of(rows, scope.workspace, scope.actor, desk.clock())
    if purse.owed:
        return purse, None
    return purse, await overage_of(desk.store, desk.billing.plans, scope.workspace, rows, desk.clock())


async def _short(story: Story, run: Run, short: Short, request: ChatRequest, catalog: Catalog) -> Story:
    rules = await rules_in(story, run)
    purse, later = await means(story, run)
    may_pay = rules.may(rules.role(story.asked.standing, story.scope.actor), "billing")
    cheaper = _that_fit(story, run.house.desk.billing, catalog, request, short.available)
    most = FREE if later is None else later.most
    sentence = short_sentence(replace(short, cheaper=cheaper), purse, run.house.desk.say, may_pay=may_pay, later=most)
    return await _refused(story, run, Code.INSUFFICIENT_BALANCE, sentence)


def _that_fit(
    story: Story, billing: Billing, catalog: Catalog, request: ChatRequest, available: Money
) -> tuple[str, ...]:
    """Of the candidates that could answer this, those that the credit is enough for."""
    tokens = input_tokens(request)

    def fits(price: Price) -> bool:
        return isinstance(hold_for(price, tokens, request.max_output_tokens, available), Held)

    return tuple(label for label, price in _prices(story, billing, catalog, request) if fits(price))


def _prices(story: Story, billing: Billing, catalog: Catalog, request: ChatRequest) -> Iterable[tuple[str, Price]]:
    tokens = input_tokens(request)
    for item in () if story.route is None else story.route.candidates:
        label = f"{item.provider}/{item.model}"
        price = price_of(catalog.find(label), tokens, billing.markup_bps)
        if price is not None:
            yield label, price


async def _limited(
    story: Story, run: Run, reached: LimitReached, request: ChatRequest, catalog: Catalog
) -> tuple[Story, ChatRequest]:
    billing, say = run.house.desk.billing, run.house.desk.say

    def fits(price: Price) -> bool:
        most = price.charge(_most(request, min(SHORT_ANSWER_TOKENS, request.max_output_tokens)))
        return most <= reached.cap - reached.spent

    cheaper = tuple(label for label, price in _prices(story, billing, catalog, request) if fits(price))
    sentence = limit_sentence(reached, story.scope, say, cheaper)
    return await _refused(story, run, Code.RATE_LIMIT_EXCEEDED, sentence), request


async def _refused(story: Story, run: Run, code: Code, sentence: str) -> Story:
    said = explain(Trouble("not_paid", detail=sentence), story.scope.turn, run.house.limits, run.house.desk.say)
    notice = ReplyPrepared(1, "notice", "refused")
    return await record(story, run, (CreditRefused("credit.reserve", code.value), None), (notice, said.encode()))


def _is_own(called: ModelCalled) -> bool:
    """Whether the key is the workspace's or a person's: then they pay the provider themselves."""
    return "/" in called.key
