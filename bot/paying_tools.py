"""Tools that have a price: held for when they are called, settled when they have answered, in the entries that journal the use.

What a tool costs is the operator's to say, so much for a use; whose key the model's provider is paid with has no bearing on it.
What failed, was stopped, or has an outcome that nobody knows costs nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from adapters.messages import ToolCall
from bot.billing import TOOLS, pays, purse_of
from bot.paying import means, spending_limits
from bot.run import Run, record
from bot.story import Story, tool_hold
from ledger.actions import Action, ToolCalled
from ledger.credit_actions import CreditRefused, CreditReserved, CreditSettled, CreditVoided
from ledger.errors import InsufficientBalance, LimitReached
from ledger.money import Money, rc_text

Asked: TypeAlias = tuple[ToolCall, ToolCalled, bytes]
"""What a model asked for, with the entry of its use."""

TOO_LITTLE = "{0} costs {1} of credit, and less than that is left. Tell the person: `/billing` shows how to pay."
TOO_MUCH = "{0} costs {1} of credit, which is more than a limit here leaves. Tell the person: `/billing limit` shows the limits."


async def price_of_use(story: Story, run: Run, tool: str) -> Money:
    """What a use of the tool costs here; 0 where it is free, or nobody pays."""
    desk, scope = run.house.desk, story.scope
    price = desk.billing.tool_prices.get(tool, 0)
    if not price or desk.billing.charges == "none":
        return Money(0)
    purse = purse_of(await desk.store.balances_of(scope.workspace), scope.workspace, scope.actor, desk.clock())
    return Money(price if pays(desk.billing, purse, own_key=False) else 0)


async def call_tools(
    story: Story, run: Run, calls: Sequence[Asked], not_used: Callable[[Asked, str], Sequence[tuple[Action, bytes]]]
) -> Story:
    """Record that these are about to be used, each that costs something with its hold. Durable on return.

    Those that there is no credit for are recorded as ``not_used`` makes them, with a sentence for the model.
    """
    holds = [await _hold(story, run, called, place) for place, (_, called, _) in enumerate(calls, len(story.tools) + 1)]
    try:
        return await record(story, run, *_entries(calls, holds))
    except (InsufficientBalance, LimitReached):
        pass
    # All of them together are too dear: those that come first are used, as far as it goes.
    for one, hold in zip(calls, holds, strict=True):
        try:
            story = await _with_later(story, run, one, hold)
        except (InsufficientBalance, LimitReached) as error:
            call, called, _ = one
            sentence = TOO_LITTLE if isinstance(error, InsufficientBalance) else TOO_MUCH
            reason = sentence.format(call.name, rc_text(Money(0 if hold is None else hold.amount)))
            refused = CreditRefused(f"tool/{called.round}/{called.call}", error.code.value)
            story = await record(story, run, (refused, None), *not_used(one, reason))
    return story


async def _with_later(story: Story, run: Run, one: Asked, hold: CreditReserved | None) -> Story:
    """With credit, or else with what may be paid later."""
    try:
        return await record(story, run, *_entries([one], [hold]))
    except InsufficientBalance:
        _, later = await means(story, run)
        if hold is None or later is None:
            raise
        hold = replace(hold, overage_period=later.period, overage_max=later.most)
        return await record(story, run, *_entries([one], [hold]))


def closing(story: Story, call: ToolCall, *, done: bool) -> tuple[tuple[Action, None], ...]:
    """What a use came to, to be recorded with its result; nothing where nothing was held for it."""
    hold = story.hold_of(call)
    if hold is None:
        return ()
    came_to = CreditSettled(hold.hold, hold.amount, TOOLS, 0) if done else CreditVoided(hold.hold, TOOLS)
    return ((came_to, None),)


async def _hold(story: Story, run: Run, called: ToolCalled, place: int) -> CreditReserved | None:
    price = await price_of_use(story, run, called.tool)
    if not price:
        return None
    limits = await spending_limits(story, run)
    return CreditReserved(tool_hold(story.scope.turn, place), price, price, TOOLS, called.tool, limits=limits)


def _entries(calls: Sequence[Asked], holds: Sequence[CreditReserved | None]) -> list[tuple[Action, bytes | None]]:
    entries: list[tuple[Action, bytes | None]] = []
    for (_, called, body), hold in zip(calls, holds, strict=True):
        if hold is not None:
            entries.append((hold, None))
        entries.append((called, body))
    return entries
