"""Money: a whole number of uRC (1 RC = 1,000,000 uRC = 1 US cent). No float comes near it."""

from typing import NewType

Money = NewType("Money", int)

URC_PER_RC = 1_000_000
FREE = Money(0)


def rc_text(amount: Money) -> str:
    """As a person reads it: two decimals at the most, and never 0 for what is not 0.

    >>> rc_text(Money(4_800_000)), rc_text(Money(0)), rc_text(Money(1))
    ('4.8 RC', '0 RC', 'under 0.01 RC')
    """
    if 0 < abs(amount) < URC_PER_RC // 100:
        return "under 0.01 RC" if amount > 0 else "over -0.01 RC"
    sign = "-" if amount < 0 else ""
    hundredths = (abs(amount) + URC_PER_RC // 200) // (URC_PER_RC // 100)
    whole, part = divmod(hundredths, 100)
    return f"{sign}{whole}.{part:02d}".rstrip("0").rstrip(".") + " RC"
