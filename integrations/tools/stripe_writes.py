"""What an agent may do in a customer's account at Stripe once another admin approved: draft an invoice, refund, make a coupon.

Each request carries an idempotency key made of the use's mark, which Stripe remembers for a day; what was made carries the mark
itself, by which it is found after that too.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from adapters.messages import JsonObject, ToolCall
from integrations.sentence import Sentence, Told
from integrations.tools.base import Conflict, Invalid, NotAllowed, Preview, Tool, ToolLimits, Unknown, Use, parameters
from integrations.tools.marker import MARK as OURS
from integrations.tools.marker import marker
from integrations.tools.stripe_client import PAGE, SERVICE, StripeToolsClient, Thing, amount, some
from integrations.tools.writes import Write, tool_of

if TYPE_CHECKING:
    from stripe import StripeClient
    from stripe.params import CouponCreateParams

WRITE_LIMITS = ToolLimits(timeout_s=60.0)
MARK = "carpool_use"
ITEMS_MAX = 20

CUSTOMER: JsonObject = {"type": "string", "pattern": "^cus_[A-Za-z0-9_]{1,100}$"}
PAYMENT: JsonObject = {"type": "string", "pattern": "^pi_[A-Za-z0-9_]{1,100}$"}
INVOICE: JsonObject = {"type": "string", "pattern": "^in_[A-Za-z0-9_]{1,100}$"}
COUPON: JsonObject = {"type": "string", "pattern": f"^{OURS}$"}
CENTS: JsonObject = {"type": "integer", "minimum": 1, "maximum": 99_999_999}
CURRENCY: JsonObject = {"type": "string", "pattern": "^[a-z]{3}$"}
TEXT: JsonObject = {"type": "string", "minLength": 1, "maxLength": 500}
ITEMS: JsonObject = {
    "type": "array",
    "minItems": 1,
    "maxItems": ITEMS_MAX,
    "items": parameters({"amount": CENTS, "description": TEXT}, ("amount", "description")),
}


def writing_tools(client: StripeToolsClient) -> list[Tool]:
    return [tool_of(client, write, WRITE_LIMITS) for write in (*WRITES, *UNDOS)]


def _preview(title: Sentence, fields: Sequence[tuple[Told, Told]], irreversible: Told = "") -> Preview:
    return Preview(title, tuple(fields), irreversible=irreversible, by_another_admin=True)


def _who(customer: Mapping[str, Any]) -> Sentence:
    name, mail = customer.get("name") or Sentence("(no name)"), customer.get("email") or Sentence("(no e-mail)")
    return Sentence("{0}, {1}", (name, mail))


def _marks(use: Use) -> dict[str, str]:
    return {MARK: marker(use)}


def _is_marked(thing: Thing, use: Use) -> bool:
    return (thing.get("metadata") or {}).get(MARK) == marker(use)


def _items(use: Use) -> Sequence[Thing]:
    return cast("Sequence[Thing]", use.call.arguments["items"])  # as its schema says


async def _draft(stripe: "StripeClient", use: Use) -> str:
    """A draft, which is sent to nobody: that is left to a person, at Stripe."""
    from stripe import StripeError

    customer, currency, mark = use.text("customer"), use.text("currency"), marker(use)
    invoice = await stripe.v1.invoices.create_async(
        {
            "customer": customer,
            "currency": currency,
            "collection_method": "send_invoice",
            "days_until_due": use.number("days_until_due", 30),
            "auto_advance": False,
            "pending_invoice_items_behavior": "exclude",
            "metadata": _marks(use),
        },
        {"idempotency_key": mark},
    )
    try:
        for number, item in enumerate(_items(use)):
            await stripe.v1.invoice_items.create_async(
                {
                    "customer": customer,
                    "invoice": invoice.id,
                    "amount": int(item["amount"]),
                    "currency": currency,
                    "description": str(item["description"]),
                },
                {"idempotency_key": f"{mark}/{number}"},
            )
    except StripeError as error:
        if (error.http_status or 500) >= 500:
            raise  # then it is looked what there is of it
        raise Conflict(
            f"{SERVICE}: half of a draft: {error.code}",
            "The draft {0} was made, but Stripe did not take all of its lines: somebody has to look at it there.",
            invoice.id,
        ) from error
    return f"Drafted the invoice {invoice.id}. Nobody was sent it: that is done at Stripe."


async def _show_draft(stripe: "StripeClient", use: Use) -> Preview:
    customer = (await stripe.v1.customers.retrieve_async(use.text("customer"))).to_dict()
    if customer.get("deleted"):
        raise Conflict(f"{SERVICE}: deleted", "This customer was deleted.")
    currency, items = use.text("currency"), _items(use)
    lines = [f"{amount(int(item['amount']), currency)}: {item['description']}" for item in items]
    total = amount(sum(int(item["amount"]) for item in items), currency)
    fields = (
        (Sentence("Customer"), Sentence("{0} ({1})", (_who(customer), customer["id"]))),
        (Sentence("Items"), "\n".join(lines)),
        (Sentence("Total"), total),
        (Sentence("Days until due"), str(use.number("days_until_due", 30))),
    )
    return _preview(Sentence("Draft an invoice at Stripe"), fields)


async def _seek_draft(stripe: "StripeClient", use: Use) -> str | None:
    found, more = await some(await stripe.v1.invoices.list_async({"customer": use.text("customer"), "limit": PAGE}))
    invoice = next((each for each in found if _is_marked(each, use)), None)
    if invoice is None:
        _see_all(more)
        return None
    lines, _ = await some(await stripe.v1.invoices.line_items.list_async(invoice["id"], {"limit": PAGE}))
    if len(lines) < len(_items(use)):
        raise Unknown(f"{SERVICE}: half of a draft", "The draft {0} is there, but not all of its lines.", invoice["id"])
    return f"Drafted the invoice {invoice['id']}. Nobody was sent it: that is done at Stripe."


def _see_all(more: bool) -> None:
    """Raises ``Unknown`` where there are more than were looked through."""
    if more:
        raise Unknown(f"{SERVICE}: more than were looked through", "It is not known whether this was done.")


async def _refund(stripe: "StripeClient", use: Use) -> str:
    refund = await stripe.v1.refunds.create_async(
        {
            "payment_intent": use.text("payment"),
            "amount": use.number("amount"),
            "reason": _reason(use),
            "metadata": _marks(use),
        },
        {"idempotency_key": marker(use)},
    )
    return _refunded(refund.to_dict())


def _reason(use: Use) -> Literal["duplicate", "fraudulent", "requested_by_customer"]:
    reasons: Mapping[str, Literal["duplicate", "fraudulent"]] = {"duplicate": "duplicate", "fraudulent": "fraudulent"}
    return reasons.get(use.text("reason"), "requested_by_customer")


def _refunded(refund: Thing) -> str:
    return f"Refunded {amount(refund['amount'], refund['currency'])}: {refund['id']} ({refund['status']})"


async def _show_refund(stripe: "StripeClient", use: Use) -> Preview:
    """Raises ``Conflict`` where so much is not left of the payment."""
    asked = await stripe.v1.payment_intents.retrieve_async(
        use.text("payment"), {"expand": ["latest_charge", "customer"]}
    )
    payment = asked.to_dict()
    charge, customer, currency = payment["latest_charge"], payment["customer"] or {}, payment["currency"]
    if charge is None:
        raise Conflict(f"{SERVICE}: not paid", "Nothing was paid with this.")
    left, wanted = charge["amount"] - charge["amount_refunded"], use.number("amount")
    if wanted > left:
        raise Conflict(f"{SERVICE}: more than is left", "Of this payment {0} can be refunded.", amount(left, currency))
    fields = (
        (Sentence("Amount"), amount(wanted, currency)),
        (Sentence("Of the payment"), Sentence("{0} of {1}", (payment["id"], amount(charge["amount"], currency)))),
        (Sentence("Refunded before"), amount(charge["amount_refunded"], currency)),
        (Sentence("Customer"), _who(customer)),
        (Sentence("Reason"), _reason(use)),
    )
    final = Sentence("A refund cannot be taken back, and Stripe keeps its fee.")
    return _preview(Sentence("Refund a payment at Stripe"), fields, final)


async def _seek_refund(stripe: "StripeClient", use: Use) -> str | None:
    found, more = await some(await stripe.v1.refunds.list_async({"payment_intent": use.text("payment"), "limit": PAGE}))
    refund = next((each for each in found if _is_marked(each, use)), None)
    if refund is None:
        _see_all(more)
        return None
    return _refunded(refund)


def _coupon_params(use: Use) -> "CouponCreateParams":
    """Raises ``Invalid``."""
    percent, cents, currency = use.call.arguments.get("percent_off"), use.number("amount_off"), use.text("currency")
    duration, months = use.text("duration"), use.number("months")
    if (percent is None) == (cents == 0):
        raise Invalid("percent or amount", "Either percent_off or amount_off says how much.")
    if bool(cents) != bool(currency):
        raise Invalid("currency", "amount_off goes with a currency, percent_off without.")
    if (duration == "repeating") != bool(months):
        raise Invalid("months", "months goes with the duration repeating.")
    params: CouponCreateParams = {
        "id": marker(use),
        "name": use.text("name"),
        "duration": cast("Any", duration),
        "max_redemptions": use.number("max_redemptions"),
        "metadata": _marks(use),
    }
    if isinstance(percent, int | float):
        params["percent_off"] = float(percent)
    if cents:
        params["amount_off"], params["currency"] = cents, currency
    if months:
        params["duration_in_months"] = months
    return params


async def _coupon(stripe: "StripeClient", use: Use) -> str:
    made = await stripe.v1.coupons.create_async(_coupon_params(use), {"idempotency_key": marker(use)})
    return f"Made the coupon {made.id}."


async def _show_coupon(stripe: "StripeClient", use: Use) -> Preview:
    params = _coupon_params(use)
    cents = use.number("amount_off")
    off = amount(cents, use.text("currency")) if cents else f"{params['percent_off']:g} %"
    months = use.number("months")
    fields = (
        (Sentence("Name"), use.text("name")),
        (Sentence("Takes off"), off),
        (Sentence("How long"), Sentence("{0} months", (months,)) if months else use.text("duration")),
        (Sentence("Can be redeemed"), Sentence("{0} times", (use.number("max_redemptions"),))),
    )
    final = Sentence("It can be deleted; what was bought with it by then stays cheaper.")
    return _preview(Sentence("Make a coupon at Stripe"), fields, final)


async def _seek_coupon(stripe: "StripeClient", use: Use) -> str | None:
    from stripe import InvalidRequestError

    try:
        return f"Made the coupon {(await stripe.v1.coupons.retrieve_async(marker(use))).id}."
    except InvalidRequestError as error:
        if error.http_status == 404:
            return None
        raise


async def _our_draft(stripe: "StripeClient", use: Use) -> Thing:
    """Raises ``Conflict`` where it is no draft any more, ``NotAllowed`` where somebody else made it."""
    invoice = (await stripe.v1.invoices.retrieve_async(use.text("invoice"))).to_dict()
    if not re.fullmatch(OURS, str((invoice.get("metadata") or {}).get(MARK, ""))):
        raise NotAllowed(f"{SERVICE}: no mark", "That invoice was not made here, and only what was is taken back.")
    if invoice["status"] != "draft":
        raise Conflict(f"{SERVICE}: {invoice['status']}", "That invoice is no draft any more: it is voided at Stripe.")
    return invoice


def _see_deleted(thing: Thing) -> None:
    """As Stripe says it of what it deleted; anything else is no answer of its."""
    if thing["deleted"] is not True:
        raise ValueError("not deleted")


async def _delete_draft(stripe: "StripeClient", use: Use) -> str:
    invoice = await _our_draft(stripe, use)
    # First its lines: left behind, they could come into the customer's next invoice.
    lines, _ = await some(await stripe.v1.invoice_items.list_async({"invoice": invoice["id"], "limit": PAGE}))
    for line in lines:
        await stripe.v1.invoice_items.delete_async(line["id"])
    _see_deleted((await stripe.v1.invoices.delete_async(invoice["id"])).to_dict())
    return f"Deleted the draft {invoice['id']}."


async def _show_delete_draft(stripe: "StripeClient", use: Use) -> Preview:
    invoice = await _our_draft(stripe, use)
    fields = (
        (Sentence("Draft"), str(invoice["id"])),
        (Sentence("Total"), amount(invoice["total"], invoice["currency"])),
    )
    return _preview(Sentence("Delete a draft of an invoice at Stripe"), fields, Sentence("A deleted draft is gone."))


async def _seek_delete_draft(stripe: "StripeClient", use: Use) -> str | None:
    """Where it is gone, nothing is left to do, whoever deleted it."""
    from stripe import InvalidRequestError

    try:
        await stripe.v1.invoices.retrieve_async(use.text("invoice"))
    except InvalidRequestError as error:
        if error.http_status == 404:
            return f"The draft {use.text('invoice')} is gone."
        raise
    return None


async def _delete_coupon(stripe: "StripeClient", use: Use) -> str:
    _see_deleted((await stripe.v1.coupons.delete_async(use.text("coupon"))).to_dict())
    return f"Deleted the coupon {use.text('coupon')}."


async def _show_delete_coupon(stripe: "StripeClient", use: Use) -> Preview:
    coupon = (await stripe.v1.coupons.retrieve_async(use.text("coupon"))).to_dict()
    fields = (
        (Sentence("Coupon"), str(coupon["id"])),
        (Sentence("Name"), str(coupon.get("name") or "")),
        (Sentence("Redeemed"), Sentence("{0} times", (coupon["times_redeemed"],))),
    )
    final = Sentence("Nobody can redeem it any more; what was bought with it stays cheaper.")
    return _preview(Sentence("Delete a coupon at Stripe"), fields, final)


async def _seek_delete_coupon(stripe: "StripeClient", use: Use) -> str | None:
    from stripe import InvalidRequestError

    try:
        await stripe.v1.coupons.retrieve_async(use.text("coupon"))
    except InvalidRequestError as error:
        if error.http_status == 404:
            return f"The coupon {use.text('coupon')} is gone."
        raise
    return None


def _back_draft(call: ToolCall, said: str) -> tuple[str, JsonObject] | None:
    found = re.match("Drafted the invoice ([A-Za-z0-9_]+)\\.", said)
    return None if found is None else ("stripe_delete_draft", {"invoice": found[1]})


def _back_coupon(call: ToolCall, said: str) -> tuple[str, JsonObject] | None:
    found = re.fullmatch(f"Made the coupon ({OURS})\\.", said)
    return None if found is None else ("stripe_delete_coupon", {"coupon": found[1]})


UNDOS = (
    Write(
        "stripe_delete_draft",
        "Takes back a draft of an invoice that was made here: deletes it.",
        parameters({"invoice": INVOICE}, ("invoice",)),
        _delete_draft,
        _show_delete_draft,
        _seek_delete_draft,
    ),
    Write(
        "stripe_delete_coupon",
        "Takes back a coupon that was made here: deletes it.",
        parameters({"coupon": COUPON}, ("coupon",)),
        _delete_coupon,
        _show_delete_coupon,
        _seek_delete_coupon,
    ),
)

WRITES = (
    Write(
        "stripe_draft_invoice",
        "Drafts an invoice at Stripe, which is sent to nobody. Amounts are in the currency's smallest unit.",
        parameters(
            {
                "customer": CUSTOMER,
                "currency": CURRENCY,
                "items": ITEMS,
                "days_until_due": {"type": "integer", "minimum": 1, "maximum": 365},
            },
            ("customer", "currency", "items"),
        ),
        _draft,
        _show_draft,
        _seek_draft,
        _back_draft,
    ),
    Write(
        "stripe_refund",
        "Refunds a payment at Stripe, wholly or in part. amount is in the currency's smallest unit.",
        parameters(
            {
                "payment": PAYMENT,
                "amount": CENTS,
                "reason": {"enum": ["duplicate", "fraudulent", "requested_by_customer"]},
            },
            ("payment", "amount"),
        ),
        _refund,
        _show_refund,
        _seek_refund,
    ),
    Write(
        "stripe_create_coupon",
        "Makes a coupon at Stripe: percent_off, or amount_off in the smallest unit of a currency.",
        parameters(
            {
                "name": {"type": "string", "minLength": 1, "maxLength": 40},
                "percent_off": {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
                "amount_off": CENTS,
                "currency": CURRENCY,
                "duration": {"enum": ["once", "repeating", "forever"]},
                "months": {"type": "integer", "minimum": 1, "maximum": 36},
                "max_redemptions": {"type": "integer", "minimum": 1, "maximum": 10_000},
            },
            ("name", "duration", "max_redemptions"),
        ),
        _coupon,
        _show_coupon,
        _seek_coupon,
        _back_coupon,
    ),
)
