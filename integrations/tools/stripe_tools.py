"""What an agent may look up in a customer's account at Stripe. What moves money is in ``stripe_writes``."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from adapters.messages import JsonObject, ToolSpec
from integrations.tools.base import ReadTool, Tool, Use, parameters
from integrations.tools.stripe_client import PAGE, StripeToolsClient, Thing, amount, some
from integrations.tools.stripe_writes import CUSTOMER, writing_tools

if TYPE_CHECKING:
    from stripe import StripeClient

_Work: TypeAlias = "Callable[[StripeClient, Use], Awaitable[str]]"

INVOICE: JsonObject = {"type": "string", "pattern": "^in_[A-Za-z0-9_]{1,100}$"}


def stripe_tools(key: str, url: str = "") -> Mapping[str, Tool]:
    """By name."""
    client = StripeToolsClient(key, url)
    tools = [*_reading_tools(client), *writing_tools(client)]
    return {tool.spec.name: tool for tool in tools}


def _reading_tools(client: StripeToolsClient) -> list[Tool]:
    email = parameters({"email": {"type": "string", "minLength": 3, "maxLength": 512}}, ("email",))
    customer = parameters({"customer": CUSTOMER}, ("customer",))
    invoice = parameters({"invoice": INVOICE}, ("invoice",))
    about: tuple[tuple[str, str, JsonObject, _Work], ...] = (
        ("stripe_customers", "Finds customers at Stripe by their e-mail address.", email, _customers),
        ("stripe_subscriptions", "Lists the subscriptions of a customer at Stripe.", customer, _subscriptions),
        ("stripe_invoices", "Lists the invoices of a customer at Stripe, newest first.", customer, _invoices),
        ("stripe_invoice", "Reads an invoice at Stripe, line by line.", invoice, _invoice),
        ("stripe_payments", "Lists the payments of a customer at Stripe, newest first.", customer, _payments),
    )
    return [_tool(client, ToolSpec(name, what, takes, "read"), work) for name, what, takes, work in about]


def _tool(client: StripeToolsClient, spec: ToolSpec, work: _Work) -> Tool:
    async def read(use: Use) -> str:
        return await client.run(use, work)

    return ReadTool(spec, read)


async def _customers(stripe: "StripeClient", use: Use) -> str:
    found, more = await some(await stripe.v1.customers.list_async({"email": use.text("email"), "limit": PAGE}))
    return _listed([f"{each['id']}: {each['name'] or '(no name)'}, {each['email']}" for each in found], more)


async def _subscriptions(stripe: "StripeClient", use: Use) -> str:
    listed = await stripe.v1.subscriptions.list_async(
        {"customer": use.text("customer"), "status": "all", "limit": PAGE}
    )
    found, more = await some(listed)
    return _listed([_subscription(each) for each in found], more)


def _subscription(one: Thing) -> str:
    items = one["items"]["data"]
    prices = ", ".join(
        f"{_times(each)} x {_price(each['price'])} until {_day(each['current_period_end'])}" for each in items
    )
    ends = ", ends with its period" if one["cancel_at_period_end"] else ""
    return f"{one['id']}: {one['status']}{ends}: {prices}"


def _times(item: Thing) -> str:
    """What a meter counts is not known beforehand."""
    return str(item.get("quantity", "what is used"))


def _price(price: Thing) -> str:
    if price["unit_amount"] is None:
        return str(price["id"])
    every = f" a {price['recurring']['interval']}" if price.get("recurring") else ""
    return f"{amount(price['unit_amount'], price['currency'])}{every}"


async def _invoices(stripe: "StripeClient", use: Use) -> str:
    found, more = await some(await stripe.v1.invoices.list_async({"customer": use.text("customer"), "limit": PAGE}))
    return _listed([_head(each) for each in found], more)


def _head(invoice: Thing) -> str:
    total, paid = (amount(invoice[name], invoice["currency"]) for name in ("total", "amount_paid"))
    return f"{invoice['id']} of {_day(invoice['created'])}: {invoice['status']}, {total}, {paid} of it paid"


async def _invoice(stripe: "StripeClient", use: Use) -> str:
    invoice = (await stripe.v1.invoices.retrieve_async(use.text("invoice"))).to_dict()
    lines, more = await some(await stripe.v1.invoices.line_items.list_async(invoice["id"], {"limit": PAGE}))
    said = [f"- {amount(each['amount'], each['currency'])}: {each.get('description') or '(no text)'}" for each in lines]
    return _listed([_head(invoice), f"customer: {invoice['customer']}", *said], more)


async def _payments(stripe: "StripeClient", use: Use) -> str:
    found, more = await some(
        await stripe.v1.payment_intents.list_async({"customer": use.text("customer"), "limit": PAGE})
    )
    lines = [
        f"{each['id']} of {_day(each['created'])}: {each['status']}, {amount(each['amount'], each['currency'])}"
        for each in found
    ]
    return _listed(lines, more)


def _day(at_s: int) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d}"


def _listed(lines: list[str], more: bool) -> str:
    text = "\n".join(lines) or "Nothing was found."
    return f"{text}\n[There are more than these.]" if more else text
