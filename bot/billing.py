"""What an answer costs its workspace, and whether it may have it. Pure, but for what is read of the book.

A call is held for before it is made, at the most that it can cost, and settled at what it did cost. The price is that of the
moment when it was held for: it stands in the entry, and a later list changes nothing. All amounts are whole uRC; a charge is
divided once, and rounded up.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from adapters.messages import Usage
from bot.lucidia.catalog import URC_PER_USD_E12, ModelCard, Rates, Tier
from bot.sentences import Sentences
from bot.tokens import FAVOUR
from integrations.payments.cashier import Cashier
from integrations.payments.plans import NO_PLANS, Plans
from ledger.accounts import AMOUNT_MAX, debt, frozen, paid, plan, promo, refund_hold
from ledger.actions import Candidate
from ledger.book import AccountRow
from ledger.credit_actions import CreditReserved, CreditSettled, CreditVoided, Limit
from ledger.entry import Scope
from ledger.errors import LimitReached
from ledger.money import FREE, URC_PER_RC, Money, rc_text
from ledger.pseudonyms import ActorId, ConversationId, WorkspaceId

Charges: TypeAlias = Literal["none", "funded", "all"]
"""Whose answers cost credit: nobody's, those of who ever had any, or everybody's."""

TOOLS = "tools"
"""Stands in place of a provider where something is held for the use of a tool."""

BPS = 10_000
OUTPUT_TOKENS_MIN = 16
"""An answer that is shorter than this is of no use: then it is not begun."""

SHORT_ANSWER_TOKENS = 512
"""A limit makes answers shorter down to this: with credit left there is more to be had, so a stump of one helps nobody."""

LOW_PER_CENT = (100, 80)
URC_PER_HUNDREDTH = URC_PER_RC // 100


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that answers may cost (uRC): a person and the workspace in a day or a month, a channel in a month. 0: no cap."""

    person_day: int = 0
    channel_month: int = 0
    workspace_month: int = 0
    person_month: int = 0
    workspace_day: int = 0

    def lower(self, other: "Caps") -> "Caps":
        """Of each the lower one that there is."""
        return Caps(
            _lower(self.person_day, other.person_day),
            _lower(self.channel_month, other.channel_month),
            _lower(self.workspace_month, other.workspace_month),
            _lower(self.person_month, other.person_month),
            _lower(self.workspace_day, other.workspace_day),
        )


NO_CAPS = Caps()


def _lower(one: int, other: int) -> int:
    return min(one or other, other or one)


@dataclass(frozen=True, slots=True)
class Billing:
    """What the house takes. ``cashier`` None: nobody can pay here, and ``charges`` says whether it costs anything.
    ``referral`` is what a workspace and the one that invited it get; 0: nothing. ``tool_prices``: uRC for a use, of the tools
    that are not free."""

    charges: Charges = "none"
    markup_bps: int = 0
    person_day_max: int = 0
    workspace_month_max: int = 0
    plans: Plans = NO_PLANS
    cashier: Cashier | None = None
    invoiced: Cashier | None = None
    referral: Money = FREE
    tool_prices: Mapping[str, int] = field(default_factory=dict)
    person_month_max: int = 0
    workspace_day_max: int = 0

    @property
    def caps(self) -> Caps:
        """The operator's own: nobody raises them."""
        return Caps(self.person_day_max, 0, self.workspace_month_max, self.person_month_max, self.workspace_day_max)


FREE_FOR_ALL = Billing()


@dataclass(frozen=True, slots=True)
class Price:
    """The rates that a call is held and settled for, in 1e-12 USD a token, and what the house adds.

    ``tiers``, the lowest first, are those that the request may reach: by how much, its provider alone knows.
    """

    rates: Rates
    markup_bps: int
    tiers: tuple[Tier, ...] = ()

    @property
    def text(self) -> str:
        """As it stands in the entry: input/output/cache read/cache written, the same of each tier, and the markup.

        >>> Price(Rates(2_000_000, 10_000_000), 2000, (Tier(200_000, Rates(4, 5)),)).text
        '2000000/10000000/2000000/2000000|200000:4/5/4/4+2000'
        """
        tiers = "".join(f"|{tier.above}:{_rates_text(tier.rates)}" for tier in self.tiers)
        return f"{_rates_text(self.rates)}{tiers}+{self.markup_bps}"

    @classmethod
    def read(cls, text: str) -> "Price":
        """The inverse of ``text``. Raises ``ValueError``."""
        rates, _, markup = text.partition("+")
        first, *others = rates.split("|")
        tiers = (other.partition(":") for other in others)
        return cls(_read_rates(first), int(markup), tuple(Tier(int(above), _read_rates(of)) for above, _, of in tiers))

    @property
    def is_free(self) -> bool:
        return all(rates.dearest_input == 0 and rates.output == 0 for rates in self._every)

    def charge(self, usage: Usage) -> Money:
        """What the workspace pays for it."""
        return self._with_markup(self._at(usage.input).units(usage))

    def cost(self, usage: Usage) -> Money:
        """What the provider takes for it."""
        return Money(-(-self._at(usage.input).units(usage) // URC_PER_USD_E12))

    def ceiling(self, input_tokens: int, output_tokens: int) -> Money:
        """The most that a call can come to: its input at the dearest rate that it may reach, and all of its output."""
        every = (self.rates, *(tier.rates for tier in self.tiers if input_tokens > tier.above))
        return self._with_markup(
            max(input_tokens * rates.dearest_input + output_tokens * rates.output for rates in every)
        )

    @property
    def _every(self) -> tuple[Rates, ...]:
        return (self.rates, *(tier.rates for tier in self.tiers))

    def _at(self, input_tokens: int) -> Rates:
        return next((tier.rates for tier in reversed(self.tiers) if input_tokens > tier.above), self.rates)

    def without_markup(self, charge: int) -> Money:
        return Money(charge * BPS // (BPS + self.markup_bps))

    def _with_markup(self, units: int) -> Money:
        return Money(-(-units * (BPS + self.markup_bps) // (BPS * URC_PER_USD_E12)))


@dataclass(frozen=True, slots=True)
class Held:
    """What is to be held for a call: ``output_tokens`` may be fewer than were asked for, so that little credit serves too."""

    amount: Money
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Short:
    """Less is there than the call can cost. ``cheaper`` are candidates that fit."""

    needed: Money
    available: Money
    cheaper: tuple[str, ...] = ()


def price_of(card: ModelCard | None, input_tokens: int, markup_bps: int) -> Price | None:
    """For a request of no more than so many tokens. None where the model cannot be sold: nobody knows its price, or a rate is
    below 0."""
    if card is None or card.rates is None:
        return None
    tiers = tuple(tier for tier in card.tiers if input_tokens > tier.above)
    if not all(_can_be_sold(rates) for rates in (card.rates, *(tier.rates for tier in tiers))):
        return None
    return Price(card.rates, markup_bps, tiers)


def _can_be_sold(rates: Rates) -> bool:
    every = (rates.input, rates.output, rates.cache_read or 0, rates.cache_write or 0)
    return min(every) >= 0 and (max(every) == 0 or (rates.input > 0 and rates.output > 0))


def _rates_text(rates: Rates) -> str:
    read = rates.input if rates.cache_read is None else rates.cache_read
    write = rates.input if rates.cache_write is None else rates.cache_write
    return f"{rates.input}/{rates.output}/{read}/{write}"


def _read_rates(text: str) -> Rates:
    input_, output, read, write = map(int, text.split("/"))
    return Rates(input_, output, read, write)


def hold_for(price: Price, input_tokens: int, output_tokens_max: int, available: int) -> Held | Short:
    """As much of an answer as ``available`` pays for, up to what is allowed."""
    whole = price.ceiling(input_tokens, output_tokens_max)
    if whole <= available:
        return Held(whole, output_tokens_max)
    needed = price.ceiling(input_tokens, min(OUTPUT_TOKENS_MIN, output_tokens_max))
    fits = longest(lambda count: price.ceiling(input_tokens, count), OUTPUT_TOKENS_MIN, output_tokens_max, available)
    if fits is None:
        return Short(needed, Money(max(0, available)))
    return Held(price.ceiling(input_tokens, fits), fits)


def longest(cost: Callable[[int], Money], least: int, most: int, available: int) -> int | None:
    """How many output tokens ``available`` pays for, up to ``most``; None for fewer than ``least``. More never cost less."""
    low, high = min(least, most), most
    if cost(low) > available:
        return None
    while low < high:  # rounding makes the exact inverse a matter of cases; a search has none
        middle = (low + high + 1) // 2
        if cost(middle) <= available:
            low = middle
        else:
            high = middle - 1
    return low


def reserved(
    hold: str, held: Held, price: Price, expected: int, chosen: Candidate, limits: Sequence[Limit]
) -> CreditReserved:
    """The entry that opens a hold. ``expected`` counts against the limits while the call runs; never more than is held."""
    due = min(expected, held.amount)
    return CreditReserved(hold, held.amount, due, chosen.provider, chosen.model, "", tuple(limits), price.text)


def counted(hold: str, expected: int, price: Price, chosen: Candidate, limits: Sequence[Limit]) -> CreditReserved:
    """The entry of a call that a key of the asker's own pays for: nothing is held, and the limits hold."""
    return CreditReserved(hold, 0, expected, chosen.provider, chosen.model, "", tuple(limits), price.text)


def closed(hold: CreditReserved, got: Usage | None, made: Usage | None) -> CreditSettled | CreditVoided:
    """What a call comes to, at the price that it was held for. ``got`` is what the person pays for, None where they got nothing:
    then the hold is given back. ``made`` is what the provider takes, as far as anybody knows; None where it made nothing. From a
    key of the asker's own it takes that whoever got something, and so it counts: else nothing would limit what nobody gets."""
    price = Price.read(hold.price)
    cost = FREE if made is None else price.cost(made)
    if hold.amount == 0:
        counts = got is not None or cost > 0
        return (
            CreditSettled(hold.hold, 0, hold.provider, 0, counted=cost)
            if counts
            else CreditVoided(hold.hold, hold.provider)
        )
    if got is None:
        return CreditVoided(hold.hold, hold.provider, cost)
    return CreditSettled(hold.hold, price.charge(got), hold.provider, cost)


def given_back(hold: CreditReserved) -> CreditVoided:
    """Of a call that was cut off: nobody has its answer, so nobody pays for it. What its provider may bill is the house's, but
    for what a key of the asker's own pays for."""
    if hold.amount == 0 or hold.provider == TOOLS:
        return CreditVoided(hold.hold, hold.provider)
    return CreditVoided(hold.hold, hold.provider, Price.read(hold.price).without_markup(hold.expected))


def estimated(input_tokens: int, output_bytes: int) -> Usage:
    """In the person's favour, as ``input_tokens`` should be: four bytes a token, rounded down."""
    return Usage(input_tokens, output_bytes // FAVOUR.bytes_per_token, 0, 0, 0)


def limits_of(scope: Scope, channel: ConversationId, caps: Caps, now_us: int) -> tuple[Limit, ...]:
    """What each call counts towards: the person's day and month, the channel's month, and the workspace's day and month. Where
    nothing is set it only counts."""
    moment = _utc(now_us)
    day, month = f"{moment:%Y-%m-%d}", f"{moment:%Y-%m}"
    return (
        Limit(scope.actor, day, caps.person_day or AMOUNT_MAX),
        Limit(scope.actor, month, caps.person_month or AMOUNT_MAX),
        Limit(channel, month, caps.channel_month or AMOUNT_MAX),
        Limit(scope.workspace, day, caps.workspace_day or AMOUNT_MAX),
        Limit(scope.workspace, month, caps.workspace_month or AMOUNT_MAX),
    )


@dataclass(frozen=True, slots=True)
class Purse:
    """What a workspace has, as one of its people may spend it.

    ``others``: what is set aside for other people and agents. ``funded``: it has ever had any.
    """

    promotional: Money
    of_plan: Money
    bought: Money
    set_aside: Money
    others: Money
    held: Money
    owed: Money
    refunding: Money
    frozen: Money
    funded: bool

    @property
    def spendable(self) -> Money:
        return Money(0 if self.owed else self.promotional + self.of_plan + self.bought + self.set_aside)


def purse_of(rows: Iterable[AccountRow], workspace: WorkspaceId, actor: ActorId, now_us: int) -> Purse:
    """Read off the book's accounts."""
    of = {row.account: row for row in rows if row.currency == "RC" and f":ws:{workspace}:" in row.account}
    lots = [row for row in of.values() if row.account.startswith(promo(workspace, "x")[:-1])]
    alive = sum(row.natural for row in lots if row.expires_us is None or row.expires_us > now_us)

    def there(account: str) -> Money:
        row = next((row for name, row in of.items() if name == account), None)
        return Money(0 if row is None else row.natural)

    own = there(paid(workspace, f"user:{actor}"))
    return Purse(
        Money(alive),
        there(plan(workspace)),
        there(paid(workspace)),
        own,
        Money(sum(row.natural for row in of.values() if row.account.startswith(f"{paid(workspace)}:")) - own),
        there(f"L:ws:{workspace}:held"),
        there(debt(workspace)),
        there(refund_hold(workspace)),
        there(frozen(workspace)),
        bool(of),
    )


def pays(billing: Billing, purse: Purse, *, own_key: bool) -> bool:
    """Whether a call costs this workspace credit. With a key of its own it pays its provider."""
    match billing.charges:
        case "none":
            return False
        case "funded":
            return purse.funded and not own_key
        case "all":
            return not own_key


def warned_at(spent_before: int, spent: int, cap: int) -> int:
    """The per cent of a limit that this call has passed: 100, 80, or 0 for none."""
    if cap <= 0 or cap >= AMOUNT_MAX:
        return 0
    return next((mark for mark in LOW_PER_CENT if spent_before * 100 < cap * mark <= spent * 100), 0)


YOURS_IS_USED_UP = "Your limit for {0} is used up."
YOURS_IS_USED = "Your limit for {0} is used to {1} per cent."
CHANNELS_IS_USED_UP = "This channel's limit for {0} is used up."
CHANNELS_IS_USED = "This channel's limit for {0} is used to {1} per cent."
WORKSPACES_IS_USED_UP = "This workspace's limit for {0} is used up."
WORKSPACES_IS_USED = "This workspace's limit for {0} is used to {1} per cent."
BEYOND_IS_USED_UP = "What may be used beyond the plan's credit in this period, and paid later, is used up."
BEYOND_IS_USED = "What may be used beyond the plan's credit in this period, and paid later, is used to {0} per cent."
LEFT_OVER = "What is left of it would not pay for a short answer."
GOES_ON = "It goes on {0}, or once the limit is raised (`/billing limit`)."


BEYOND = "What may be used beyond the credit in a period of the plan, and paid later, is used up too."


def short_sentence(short: Short, purse: Purse, say: Sentences, *, may_pay: bool, later: Money = FREE) -> str:
    """What is missing, and what helps. ``later`` is what the plan lets be paid later, 0 for nothing."""
    if purse.owed:
        said = say("Something is owed: a payment was taken back after it was spent. The next top-up pays it.")
    else:
        # The balance is not everybody's to know, and this is read by all who see the conversation: what is missing tells it not.
        said = _missing(short, say)
        said += f" {say(BEYOND)}" if later else ""
    helps = say("`/billing topup 10` adds 1000 RC." if may_pay else "Ask a billing admin here to top up.")
    return " ".join((said, helps, *_cheaper(short.cheaper, say)))


def _missing(short: Short, say: Sentences) -> str:
    """Rounded up, so that as much again is enough."""
    missing = short.needed - short.available
    if missing <= 0:  # other answers took it meanwhile
        return say("Too little credit is left for an answer.")
    hundredths = -(-missing // URC_PER_HUNDREDTH) if missing >= URC_PER_HUNDREDTH else 0
    return say(
        "Even for a short answer {0} of credit is missing.", rc_text(Money(hundredths * URC_PER_HUNDREDTH or missing))
    )


def limit_sentence(reached: LimitReached, scope: Scope, say: Sentences, cheaper: Sequence[str] = ()) -> str:
    """``cheaper`` are candidates that what is left of the limit pays for."""
    used = warning_sentence(reached.subject, reached.period, reached.spent, reached.cap, scope, say)
    left = [say(LEFT_OVER)] if reached.spent < reached.cap else []
    until = say("tomorrow (UTC)" if len(reached.period) > len("2026-11") else "next month")
    return " ".join((used, *left, say(GOES_ON, until), *_cheaper(cheaper, say)))


def _cheaper(cheaper: Sequence[str], say: Sentences) -> list[str]:
    return [say("{0} would still fit: `/model` chooses one.", ", ".join(cheaper))] if cheaper else []


def warning_sentence(subject: str, period: str, spent: int, cap: int, scope: Scope, say: Sentences) -> str:
    """How far a limit is used. In no amounts: all who see the conversation read it; who may know them sees them in `/billing`."""
    used = (period, spent * 100 // cap)
    if subject == scope.actor:
        return say(YOURS_IS_USED_UP if spent >= cap else YOURS_IS_USED, *used)
    if subject != scope.workspace:
        return say(CHANNELS_IS_USED_UP if spent >= cap else CHANNELS_IS_USED, *used)
    return say(WORKSPACES_IS_USED_UP if spent >= cap else WORKSPACES_IS_USED, *used)


def beyond_sentence(used: int, most: int, say: Sentences) -> str:
    """The same of what may be used beyond a plan's credit."""
    return say(BEYOND_IS_USED_UP if used >= most else BEYOND_IS_USED, used * 100 // most)


def days_before(now_us: int, count: int) -> tuple[str, ...]:
    """The last days as limits name them, the oldest first and today last."""
    today = _utc(now_us)
    return tuple(f"{today - timedelta(days=back):%Y-%m-%d}" for back in range(count - 1, -1, -1))


def _utc(now_us: int) -> datetime:
    return datetime.fromtimestamp(now_us // 1_000_000, UTC)
