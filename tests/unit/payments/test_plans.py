from pathlib import Path

import pytest

from integrations.payments.base import Cents, InvoiceLine
from integrations.payments.plans import Granted, Plan, Plans, read_plans
from ledger.money import URC_PER_RC, Money

PRO = Plan("pro", "price_1", Money(1500 * URC_PER_RC), Money(500 * URC_PER_RC), ("openai/*",))
TOP = Plan("top", "price_2", Money(5000 * URC_PER_RC), Money(1000 * URC_PER_RC))
PLANS = Plans((PRO, TOP))
BEYOND = Plan("beyond", "price_3", Money(10 * URC_PER_RC), Money(0), (), "used", "price_4", Money(1000 * URC_PER_RC))


def line(price: str, gross: int, net: int | None = None) -> InvoiceLine:
    return InvoiceLine(price, Cents(gross), Cents(gross if net is None else net))


def granted(plan: str, credit: int, fee: int) -> Granted:
    return Granted(plan, credit * URC_PER_RC, fee * URC_PER_RC)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([line("price_1", 2000)], granted("pro", 1500, 500)),
        ([line("price_1", -1000), line("price_2", 3000)], granted("top", 1750, 250)),
        ([line("price_1", 2000, 1800)], granted("pro", 1500, 300)),  # a discount comes off the fee
        ([line("price_1", 2000, 1000)], granted("pro", 1000, 0)),  # and then off the credit
        ([line("price_3", 2000)], None),
        ([line("price_2", -3000), line("price_1", 1000)], granted("pro", -1750, -250)),  # it was made smaller
        ([line("price_1", -1000)], None),  # of what plan is not said
        ([], None),
    ],
)
def test_an_invoice_is_credit_and_fee_in_its_plans_proportion(
    lines: list[InvoiceLine], expected: Granted | None
) -> None:
    assert PLANS.granted(lines) == expected


def test_what_was_used_beyond_a_plan_is_neither_credit_nor_fee() -> None:
    plans = Plans((PRO, BEYOND))
    whole = Granted("beyond", 10 * URC_PER_RC, 0, 7 * URC_PER_RC, 0)
    assert plans.granted([line("price_4", 7), line("price_3", 10)]) == whole
    assert plans.granted([line("price_4", 7, 5)]) == Granted("", 0, 0, 5 * URC_PER_RC, 2 * URC_PER_RC)
    assert plans.granted([line("price_4", -7)]) is None


def test_a_plan_with_a_meter_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text('[beyond]\nprice = "price_3"\ncredit_rc = 10\nmeter = "used"\noverage_price = "price_4"\n')
    assert read_plans(file) == Plans((BEYOND,))


def test_plans_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text(
        '[pro]\nprice = "price_1"\ncredit_rc = 1500\nfee_rc = 500\nmodels = ["openai/*"]\n'
        '[top]\nprice = "price_2"\ncredit_rc = 5000\nfee_rc = 1000\n'
    )
    assert read_plans(file) == PLANS
    assert read_plans(None) == Plans()
    assert (PRO.allows("openai/m"), PRO.allows("xai/m"), TOP.allows("xai/m")) == (True, False, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pro = 1", "a plan is a table"),
        ("[pro]", "price is the id of a price"),
        ('[pro]\nprice = "p"\ncredit_rc = 1.5', "whole numbers"),
        ('[pro]\nprice = "p"\ncredit_rc = true', "whole numbers"),
        ('[pro]\nprice = "p"\ncredit_rc = 0', "whole numbers"),
        ('[pro]\nprice = "p"\ncredit_rc = 1\nfee_rc = -1', "whole numbers"),
        ('[pro]\nprice = "p"\ncredit_rc = 1\ncredits = 2', "a plan has no credits"),
        ('[pro]\nprice = "p"\ncredit_rc = 1\nmodels = [1]', "a list of names"),
        ('[a]\nprice = "p"\ncredit_rc = 1\n[b]\nprice = "p"\ncredit_rc = 2', "the same price"),
        ('[pro]\nprice = "p"\ncredit_rc = 1\nmeter = "m"', "overage_price the id of its price"),
        ('[pro]\nprice = "p"\ncredit_rc = 1\noverage_rc_max = 5', "meter is the event name"),
        ('[pro]\nprice = "p"\ncredit_rc = 1\nmeter = "m"\noverage_price = "o"\noverage_rc_max = 0', "above 0"),
        ('[pro]\nprice = "p"\ncredit_rc = 1\nmeter = "m"\noverage_price = "p"', "has the price of overage"),
        ("[pro", "cannot be read as TOML"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "plans.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_plans(file)
