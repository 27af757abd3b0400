"""The plans on offer: what a period costs, and what of it is credit. Read from a TOML file of the operator's.

[pro]
price = "price_..."       # at Stripe: its amount is credit and fee together
credit_rc = 1500          # to spend in the period
fee_rc = 500              # for the period itself
models = ["openai/*"]     # which may answer; left out: all
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from integrations.payments.base import InvoiceLine, urc
from ledger.accounts import is_part
from ledger.money import URC_PER_RC, Money

PLAN_RC_MAX = 10_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """``credit`` and ``fee`` of a period, in uRC."""

    name: str
    price: str
    credit: Money
    fee: Money
    models: tuple[str, ...] = ()

    def allows(self, label: str) -> bool:
        """Whether a model (``provider/model``) may answer."""
        return not self.models or any(fnmatchcase(label, pattern) for pattern in self.models)


@dataclass(frozen=True, slots=True)
class Granted:
    """What an invoice comes to: ``plan`` is the last one it names."""

    plan: str
    credit: int
    fee: int


@dataclass(frozen=True, slots=True)
class Plans:
    all: tuple[Plan, ...] = ()

    def named(self, name: str) -> Plan | None:
        return next((plan for plan in self.all if plan.name == name), None)

    def of_price(self, price: str) -> Plan | None:
        return next((plan for plan in self.all if plan.price == price), None)

    def granted(self, lines: Iterable[InvoiceLine]) -> Granted | None:
        """Each line is credit and fee in its plan's proportion; a discount is taken off the fee first. None where a line is of
        no plan, or where more is given back than is paid."""
        name, credit, fee = "", 0, 0
        for line in lines:
            plan = self.of_price(line.price)
            if plan is None:
                return None
            part = min(urc(line.gross) * plan.credit // (plan.credit + plan.fee), _ceiling(line))
            credit, fee = credit + part, fee + urc(line.net) - part
            name = plan.name if line.gross >= 0 else name
        return Granted(name, credit, fee) if name and credit >= 0 and fee >= 0 else None


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
    if len(set(prices)) < len(prices):
        raise ValueError(f"{path}: two plans have the same price")
    return Plans(plans)


def _plan(name: str, item: object) -> Plan:
    if not isinstance(item, dict) or not is_part(name):
        raise ValueError(f"{name}: a plan is a table, and its name is of letters, digits, `-`, `_` and `.`")
    strangers = item.keys() - {"price", "credit_rc", "fee_rc", "models"}
    if strangers:
        raise ValueError(f"{name}: a plan has no {min(strangers)}")
    price, credit, fee, models = item.get("price"), item.get("credit_rc"), item.get("fee_rc", 0), item.get("models", [])
    if not isinstance(price, str) or not price:
        raise ValueError(f"{name}: price is the id of a price at Stripe")
    if type(credit) is not int or type(fee) is not int or not 0 < credit <= PLAN_RC_MAX or not 0 <= fee <= PLAN_RC_MAX:
        raise ValueError(f"{name}: credit_rc and fee_rc are whole numbers up to {PLAN_RC_MAX:,}, credit_rc above 0")
    if not isinstance(models, list) or not all(isinstance(model, str) for model in models):
        raise ValueError(f"{name}: models is a list of names such as openai/*")
    return Plan(name, price, Money(credit * URC_PER_RC), Money(fee * URC_PER_RC), tuple(models))
