"""Amounts of money, and what else is typed beside them, as people write and read them."""

import re
from decimal import Decimal

from bot.visible import visible
from integrations.payments.base import Amount, Cents
from integrations.payments.in_book import decimals_of
from ledger.errors import Code
from ledger.money import URC_PER_RC, Money

DOLLARS_MIN, DOLLARS_MAX = 1, 1000
HOUSE_DOLLARS_MAX = 10_000_000
QUOTED_MAX = 40
RC_MAX = 100_000
_DOLLARS = re.compile(r"\$?([0-9]{1,9})(?:\.([0-9]{1,2}))?(?: ?(?:\$|usd|dollars?))?", re.IGNORECASE)
_RC = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(?: ?rc)?", re.IGNORECASE)


def read_dollars(text: str) -> Cents | None:
    """None for what is no amount, or one that is too small or too large.

    >>> read_dollars("10"), read_dollars("$2.5"), read_dollars("0"), read_dollars("1e3"), read_dollars("١٠")
    (1000, 250, None, None, None)
    """
    return _cents(text, DOLLARS_MIN * 100, DOLLARS_MAX * 100)


def read_house_dollars(text: str) -> Cents | None:
    """The same for the house's own money, which is more.

    >>> read_house_dollars("0.01"), read_house_dollars("250000"), read_house_dollars("0"), read_house_dollars("NaN")
    (1, 25000000, None, None)
    """
    return _cents(text, 1, HOUSE_DOLLARS_MAX * 100)


def read_bill(text: str) -> Cents | None:
    """The same for what a provider billed for a period, which may be nothing.

    >>> read_bill("0"), read_bill("0.00"), read_bill("12.5"), read_bill("-1")
    (0, 0, 1250, None)
    """
    return _cents(text, 0, HOUSE_DOLLARS_MAX * 100)


def _cents(text: str, least: int, most: int) -> Cents | None:
    found = _DOLLARS.fullmatch(text.strip())
    cents = -1 if found is None else int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))
    return Cents(cents) if least <= cents <= most else None


def read_rc(text: str) -> Money | None:
    """The same for credit, to the last uRC.

    >>> read_rc("2.5"), read_rc("0.000001 RC"), read_rc("0"), read_rc("-1"), read_rc("1.0000001"), read_rc("NaN")
    (2500000, 1, None, None, None, None)
    """
    found = _RC.fullmatch(text.strip())
    amount = 0 if found is None else int(Decimal(found[1]) * URC_PER_RC)
    return Money(amount) if 0 < amount <= RC_MAX * URC_PER_RC else None


def read_whole(text: str, least: int, most: int) -> int | None:
    """
    >>> read_whole("30", 1, 365), read_whole("0", 1, 365), read_whole("-5", 1, 365), read_whole("٣", 1, 365)
    (30, None, None, None)
    """
    number = int(text) if re.fullmatch(r"[0-9]{1,15}", text.strip()) else least - 1
    return number if least <= number <= most else None


def code_of(text: str) -> Code:
    """Why what was written is no amount, as it stands on the ledger."""
    return Code.NEGATIVE_AMOUNT if text.strip().startswith(("-", "\N{MINUS SIGN}")) else Code.INVALID_ENTRY_TYPE


def in_code(typed: str) -> str:
    """What somebody typed, said back to them: as code on one line, and never as markup of its own.

    >>> in_code("gold"), in_code("a`b\\nc")
    ('`gold`', "`a'b c`")
    """
    return f"`{visible(' '.join(typed.split())).replace('`', chr(39))[:QUOTED_MAX]}`"


def dollars_text(amount: Amount) -> str:
    """As people read it: US dollars with a sign, another currency with its letters and as many decimals as it has.

    >>> dollars_text(Amount(Cents(-1050))), dollars_text(Amount(Cents(1000), "eur")), dollars_text(Amount(Cents(1000), "jpy"))
    ('-$10.50', '10 EUR', '1,000 JPY')
    """
    decimals = decimals_of(amount.currency)
    whole, part = divmod(abs(amount.cents), 10**decimals)
    sign = "-" if amount.cents < 0 else ""
    digits = f"{whole:,}.{part:0{decimals}d}" if part else f"{whole:,}"
    return f"{sign}${digits}" if amount.currency == "usd" else f"{sign}{digits} {amount.currency.upper()}"
