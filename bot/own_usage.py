"""What a model may be told of money: what the asking person has spent. Not what there is, nor what others spend."""

from bot.billing import days_before
from bot.commands.base import Desk
from bot.rules import rules_of
from integrations.tools.base import Use
from ledger.book import Counter
from ledger.money import Money, rc_text
from ledger.pseudonyms import ConversationId

DAYS = 14


async def own_usage(use: Use, desk: Desk) -> str:
    """In English, for a model."""
    days = days_before(desk.clock(), DAYS)
    spent = [await desk.store.spent(Counter(use.workspace, str(use.actor), day)) for day in days]
    caps = rules_of(await desk.store.settings(use.workspace)).caps(desk.billing.caps, ConversationId(""))
    limit = f"limit for a day: {rc_text(Money(caps.person_day))}" if caps.person_day else "no limit for a day"
    if caps.person_month:
        month = await desk.store.spent(Counter(use.workspace, str(use.actor), days[-1][: len("2026-11")]))
        limit += f"; spent this month: {rc_text(Money(month))}, limit for a month: {rc_text(Money(caps.person_month))}"
    return (
        f"Spent today ({days[-1]}, UTC): {rc_text(Money(spent[-1]))}; {limit}.\n"
        f"Spent in the last {DAYS} days: {rc_text(Money(sum(spent)))}.\n"
        "1 RC is a US cent. The person sees more, for themselves alone, with `/billing`."
    )
