"""Tools that have a price: held for when they are called, settled when they have answered, in the entries that journal the use.

What a tool costs is the operator's to say, so much for a use; whose key the model's provider is paid with has no bearing on it.
What failed, was stopped, or has an outcome that nobody knows costs nothing.
"""

from collections.abc import Mapping, Sequence

from adapters.messages import ToolCall, ToolCallId
from bot.billing import TOOLS, pays, purse_of
from bot.paying import spending_limits
from bot.run import Run, record
from bot.story import Story, tool_hold
from ledger.actions import Action, ToolCalled
from ledger.credit_actions import CreditRefused, CreditReserved, CreditSettled, CreditVoided
from ledger.errors import InsufficientBalance, LimitReached
from ledger.money import Money, rc_text

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
    story: Story, run: Run, calls: Sequence[tuple[ToolCall, ToolCalled, bytes]]
) -> tuple[Story, Mapping[ToolCallId, str]]:
    """Record that these are about to be used, each that costs something with its hold. Durable on return.

    With the story come those that there is no credit for, each with a sentence for the model: they are not to be used.
    """
    holds = [await _hold(story, run, called, place) for place, (_, called, _) in enumerate(calls, len(story.tools) + 1)]
    try:
        return await record(story, run, *_entries(calls, holds)), {}
    except (InsufficientBalance, LimitReached):
        pass
    # All of them together are too dear: those that come first are used, as far as it goes.
    refused: dict[ToolCallId, str] = {}
    for one, hold in zip(calls, holds, strict=True):
        call, called, body = one
        try:
            story = await record(story, run, *_entries([one], [hold]))
        except (InsufficientBalance, LimitReached) as error:
            sentence = TOO_LITTLE if isinstance(error, InsufficientBalance) else TOO_MUCH
            price = Money(0 if hold is None else hold.amount)
            refused[call.id] = sentence.format(call.name, rc_text(price))
            place = f"{called.round}/{called.call}"
            story = await record(story, run, (CreditRefused(f"tool/{place}", error.code.value), None), (called, body))
    return story, refused


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


def _entries(
    calls: Sequence[tuple[ToolCall, ToolCalled, bytes]], holds: Sequence[CreditReserved | None]
) -> list[tuple[Action, bytes | None]]:
    entries: list[tuple[Action, bytes | None]] = []
    for (_, called, body), hold in zip(calls, holds, strict=True):
        if hold is not None:
            entries.append((hold, None))
        entries.append((called, body))
    return entries
