"""The plans on offer: what a period costs, and what of it is credit. Read from a TOML file of the operator's.

[pro]
price = "price_..."       # at Stripe: its amount is credit and fee together
credit_rc = 1500          # to spend in the period
fee_rc = 500              # for the period itself
models = ["openai/*"]     # which may answer; left out: all
meter = "carpool_overage" # the event name of a Billing Meter at Stripe: answers go on when the credit is used, and are paid later
overage_price = "price_..." # that meter's price, of one US cent a unit
overage_rc_max = 1000     # how much of a period may be paid later
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from integrations.payments.base import InvoiceLine, urc
from ledger.accounts import is_part
from ledger.money import FREE, URC_PER_RC, Money

_METERED = {"meter", "overage_price", "overage_rc_max"}
_EVENT_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
PLAN_RC_MAX = 10_000_000
OVERAGE_RC_MAX = 1_000
"""Of a period of a plan with a meter, where nothing else is set."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``credit`` and ``fee`` of a period, in uRC. ``meter`` is empty where nothing is used beyond the credit; else ``overage`` is
    what of a period may be paid later, through ``overage_price``."""

    name: str
    price: str
    credit: Money
    fee: Money
    models: tuple[str, ...] = ()
    meter: str = ""
    overage_price: str = ""
    overage: Money = FREE

    def allows(self, label: str) -> bool:
        """Whether a model (``provider/model``) may answer."""
        return not self.models or any(fnmatchcase(label, pattern) for pattern in self.models)


@dataclass(frozen=True, slots=True)
class Granted:
    """What an invoice comes to: ``plan`` is the last one it names, empty where it is for overage alone. ``overage`` is what was
    paid for that, and ``discount`` what of it was not."""

    plan: str
    credit: int
    fee: int
    overage: int = 0
    discount: int = 0


@dataclass(frozen=True, slots=True)
class Plans:
    all: tuple[Plan, ...] = ()

    def named(self, name: str) -> Plan | None:
        return next((plan for plan in self.all if plan.name == name), None)

    def meter_of(self, name: str) -> str:
        """Empty where the plan has none, or is on offer no more."""
        plan = self.named(name)
        return "" if plan is None else plan.meter

    def of_price(self, price: str) -> Plan | None:
        return next((plan for plan in self.all if plan.price == price), None)

    def granted(self, lines: Iterable[InvoiceLine]) -> Granted | None:
        """Each line is credit and fee in its plan's proportion; a discount is taken off the fee first. None where a line is of
        no plan. Credit and fee are below 0 where a plan was made smaller."""
        name, credit, fee, overage, discount = "", 0, 0, 0, 0
        for line in lines:
            if any(plan.meter and plan.overage_price == line.price for plan in self.all):
                overage, discount = overage + urc(line.net), discount + urc(line.gross - line.net)
                continue
            plan = self.of_price(line.price)
            if plan is None:
                return None
            part = min(urc(line.gross) * plan.credit // (plan.credit + plan.fee), _ceiling(line))
            credit, fee = credit + part, fee + urc(line.net) - part
            name = plan.name if line.gross >= 0 else name
        fits = (name or overage or discount) and min(overage, discount) >= 0
        return Granted(name, credit, fee, overage, discount) if fits else None


NO_PLANS = Plans()


def _ceiling(line: InvoiceLine) -> int:
    """No more credit than was paid for; what is given back has no such bound."""
    return urc(line.net) if line.gross >= 0 else 0


def read_plans(path: Path | None) -> Plans:
    """Raises ``ValueError`` with what is wrong, in words for the operator."""
    if path is None:
        return Plans()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} cannot be read as TOML: {error}") from error
    plans = tuple(_plan(name, item) for name, item in data.items())
    prices = [plan.price for plan in plans]
    if len(set(prices)) < len(prices) or {plan.overage_price for plan in plans} & set(prices):
        raise ValueError(f"{path}: two plans have the same price, or one has the price of overage")
    return Plans(plans)


def _plan(name: str, item: object) -> Plan:
    if not isinstance(item, dict) or not is_part(name):
        raise ValueError(f"{name}: a plan is a table, and its name is of letters, digits, `-`, `_` and `.`")
    strangers = item.keys() - {"price", "credit_rc", "fee_rc", "models", *_METERED}
    if strangers:
        raise ValueError(f"{name}: a plan has no {min(strangers)}")
    price, credit, fee, models = item.get("price"), item.get("credit_rc"), item.get("fee_rc", 0), item.get("models", [])
    if not isinstance(price, str) or not price:
        raise ValueError(f"{name}: price is the id of a price at Stripe")
    if type(credit) is not int or type(fee) is not int or not 0 < credit <= PLAN_RC_MAX or not 0 <= fee <= PLAN_RC_MAX:
        raise ValueError(f"{name}: credit_rc and fee_rc are whole numbers up to {PLAN_RC_MAX:,}, credit_rc above 0")
    if not isinstance(models, list) or not all(isinstance(model, str) for model in models):
        raise ValueError(f"{name}: models is a list of names such as openai/*")
    meter, overage_price, overage = _metered(name, item)
    credit_urc, fee_urc = Money(credit * URC_PER_RC), Money(fee * URC_PER_RC)
    return Plan(name, price, credit_urc, fee_urc, tuple(models), meter, overage_price, overage)


def _metered(name: str, item: Mapping[str, object]) -> tuple[str, str, Money]:
    """How a plan's overage is paid for: all empty where it has no meter."""
    if not item.keys() & _METERED:
        return "", "", FREE
    meter, price, most = item.get("meter"), item.get("overage_price"), item.get("overage_rc_max", OVERAGE_RC_MAX)
    if not isinstance(meter, str) or not _EVENT_NAME.fullmatch(meter) or not isinstance(price, str) or not price:
        raise ValueError(f"{name}: meter is the event name of a meter at Stripe, and overage_price the id of its price")
    if type(most) is not int or not 0 < most <= PLAN_RC_MAX:
        raise ValueError(f"{name}: overage_rc_max is a whole number above 0, up to {PLAN_RC_MAX:,}")
    return meter, price, Money(most * URC_PER_RC)
