"""``/billing limit``: the most that answers may cost a person and the workspace in a day and a month, a channel in a month."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot.billing import Caps
from bot.commands.amounts import RC_MAX, code_of, read_rc
from bot.commands.base import Asking, Desk, Result
from bot.rules import Rules
from bot.sentences import Sentences
from ledger.actions import SettingChanged, SettingName
from ledger.credit_actions import CreditRefused
from ledger.money import Money, rc_text
from ledger.pseudonyms import ConversationId

NONE = "none"
NOWHERE = ConversationId("")


@dataclass(frozen=True, slots=True)
class _Kind:
    """``here``: it is that of the channel where it is set."""

    setting: SettingName
    whose: str
    of: Callable[[Caps], int]
    here: bool = False


KINDS: Mapping[str, _Kind] = {
    "person": _Kind("person_day_urc_max", "each person in a day", lambda caps: caps.person_day),
    "person-month": _Kind("person_month_urc_max", "each person in a month", lambda caps: caps.person_month),
    "channel": _Kind("channel_month_urc_max", "this channel in a month", lambda caps: caps.channel_month, here=True),
    "workspace": _Kind("workspace_month_urc_max", "this workspace in a month", lambda caps: caps.workspace_month),
    "workspace-day": _Kind("workspace_day_urc_max", "this workspace in a day", lambda caps: caps.workspace_day),
}


async def limit(asking: Asking, desk: Desk, rest: str) -> Result:
    """Shows them, or sets one: ``limit person 10``. What the operator allows at the most, nobody raises."""
    what, _, amount_text = rest.partition(" ")
    kind = KINDS.get(what.casefold())
    if kind is None:
        return Result(_shown(asking, desk))
    amount_text = amount_text.strip()
    lifted = amount_text.casefold() == NONE
    amount = None if lifted else read_rc(amount_text)
    if amount is None and not lifted:
        said = desk.say(
            "`/billing limit {0} RC`: above 0 and up to {1:,} RC, with six decimals at the most, or `none`. Nothing was changed.",
            what.casefold(),
            RC_MAX,
        )
        return Result(said, (CreditRefused("billing.limit", code_of(amount_text).value),))
    channel = channel_of(asking, desk)
    change = SettingChanged(kind.setting, "" if amount is None else str(amount), channel if kind.here else NOWHERE)
    rules = _with(asking.rules, kind, amount, channel)
    text = desk.say(
        "From now on, {0}: {1}.", desk.say(kind.whose), _text(kind.of(rules.caps(desk.billing.caps, channel)), desk.say)
    )
    highest = kind.of(desk.billing.caps)
    if highest and (amount is None or amount > highest):
        text += f" {desk.say('More than that is not allowed by whoever runs CarPool.')}"
    return Result(text, (change,))


def _with(rules: Rules, kind: _Kind, amount: Money | None, channel: ConversationId) -> Rules:
    return rules.limited(kind.setting, channel, 0 if amount is None else amount)


def channel_of(asking: Asking, desk: Desk) -> ConversationId:
    address = asking.address
    return desk.pseudonyms.conversation(address.platform, address.workspace, address.channel, "")


def _shown(asking: Asking, desk: Desk) -> str:
    caps = asking.rules.caps(desk.billing.caps, channel_of(asking, desk))
    lines = [
        f"- `{name}`, {desk.say(kind.whose)}: **{_text(kind.of(caps), desk.say)}**" for name, kind in KINDS.items()
    ]
    how = desk.say("`/billing limit person 10` sets one in RC, `none` takes it back.")
    return "\n".join([desk.say("The most that answers may cost:"), "", *lines, "", how])


def _text(cap: int, say: Sentences) -> str:
    return rc_text(Money(cap)) if cap else say("no limit")
