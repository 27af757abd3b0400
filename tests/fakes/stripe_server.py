"""A stateful Stripe of our own on loopback: what localstripe and emulate lack, and as strict where it matters.

Recurring Checkout, Prices, the portal, meters, refunds, disputes, payouts, events and their listing; keys and versions checked;
parameters that the SDK does not know refused; idempotency keys compared with their request, and forgotten after a day; deliveries
signed by the SDK's own helper, and a seeded adversary between Stripe and the endpoint.
"""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias
from urllib.parse import parse_qsl

import stripe
from aiohttp import ClientSession, web
from stripe import params
from stripe.params import billing_portal, checkout

from tests.fakes import stripe_cards, stripe_clocks, stripe_meters, stripe_params, stripe_shop
from tests.fakes.stripe_account import Account, Refused, Thing

KEY = "sk_test_carpool"
SECRET = "whsec_carpool"
MEMORY_S = 86_400
PAGE_MAX = 100

Answer: TypeAlias = tuple[int, Thing]

KNOWN: Mapping[tuple[str, str], type] = {
    ("POST", "/v1/customers"): params.CustomerCreateParams,
    ("GET", "/v1/customers"): params.CustomerListParams,
    ("POST", "/v1/checkout/sessions"): checkout.SessionCreateParams,
    ("GET", "/v1/checkout/sessions"): checkout.SessionListParams,
    ("POST", "/v1/refunds"): params.RefundCreateParams,
    ("GET", "/v1/refunds"): params.RefundListParams,
    ("GET", "/v1/invoices"): params.InvoiceListParams,
    ("GET", "/v1/payment_intents"): params.PaymentIntentListParams,
    ("GET", "/v1/invoice_payments"): params.InvoicePaymentListParams,
    ("GET", "/v1/subscriptions"): params.SubscriptionListParams,
    ("GET", "/v1/balance_transactions"): params.BalanceTransactionListParams,
    ("GET", "/v1/events"): params.EventListParams,
    ("POST", "/v1/billing_portal/sessions"): billing_portal.SessionCreateParams,
    **stripe_shop.KNOWN,
    **stripe_meters.KNOWN,
    **stripe_cards.KNOWN,
    **stripe_clocks.KNOWN,
}
"""What may be asked, as the SDK has it."""

OBJECTS = {
    "customers": "customer",
    "checkout/sessions": "checkout.session",
    "payment_intents": "payment_intent",
    "charges": "charge",
    "invoices": "invoice",
    "subscriptions": "subscription",
    "refunds": "refund",
    "disputes": "dispute",
    "payouts": "payout",
    "prices": "price",
    "balance_transactions": "balance_transaction",
}


@dataclass
class Adversary:
    """Chances in a hundred of what happens to a delivery. The same seed does the same."""

    seed: int = 0
    duplicate: int = 0
    reorder: int = 0
    drop: int = 0
    delay: int = 0
    never: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def strikes(self, chance: int) -> bool:
        return self._random.randrange(100) < chance

    def shuffle(self, items: list[Thing]) -> None:
        self._random.shuffle(items)


PASSING = ("/v1/billing_portal/sessions",)
"""What may be made any number of times."""


class Request(Protocol):
    """What is looked at of a request."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


@dataclass
class StripeServer:
    account: Account
    adversary: Adversary = field(default_factory=Adversary)
    base_url: str = ""
    key: str = KEY
    """The one that is taken."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    down: bool = False
    """Whether it fails, as in an outage."""
    cut: bool = False
    """Whether the next answer breaks off, after it took effect."""
    lags: bool = False
    """Whether it lists an event only when it is asked again, as Stripe may."""
    statuses: list[int] = field(default_factory=list)
    pending: list[Thing] = field(default_factory=list)
    keyless: list[str] = field(default_factory=list)
    """What was made by a request without an idempotency key."""
    _seen: dict[str, tuple[int, str, Answer]] = field(default_factory=dict)
    _listable: int = 0

    def __post_init__(self) -> None:
        self.account.made = self.pending.append
        self.account.never = lambda kind: self.adversary.strikes(self.adversary.never)

    async def deliver(self, url: str, *, secret: str = SECRET) -> None:
        """Deliver what is pending, as the adversary has it. What it delays waits for the next time."""
        queue, self.pending[:] = list(self.pending), []
        if self.adversary.strikes(self.adversary.reorder):
            self.adversary.shuffle(queue)
        async with ClientSession() as session:
            for event in queue:
                if self.adversary.strikes(self.adversary.drop):
                    continue
                if self.adversary.strikes(self.adversary.delay):
                    self.pending.append(event)
                    continue
                times = 3 if self.adversary.strikes(self.adversary.duplicate) else 1
                await asyncio.gather(*(self.post(session, url, event, secret) for _ in range(times)))

    async def post(self, session: ClientSession, url: str, event: Thing, secret: str = SECRET, at_s: int = 0) -> int:
        body = json.dumps(event)
        header = stripe.WebhookSignature.generate_signature_header(body, secret, at_s or self.account.now_s)
        headers = {"Stripe-Signature": header, "Content-Type": "application/json"}
        async with session.post(url, data=body.encode(), headers=headers) as answer:
            self.statuses.append(answer.status)
            return answer.status

    async def answer(self, request: web.Request) -> web.StreamResponse:
        text = (await request.read()).decode() if request.method == "POST" else request.query_string
        self.requests.append((request.method, request.path))
        status, body, replayed = self.told(request, text)
        headers = {"Request-Id": f"req_{len(self.requests)}"}
        if status < 400 and replayed:
            headers["Idempotent-Replayed"] = "true"
        whole = json.dumps(body).encode()
        if self.cut:
            self.cut = False
            response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(len(whole))})
            await response.prepare(request)
            await response.write(whole[: len(whole) // 2])
            assert request.transport is not None
            request.transport.abort()
            return response
        return web.Response(body=whole, status=status, headers=headers, content_type="application/json")

    def told(self, request: "Request", text: str) -> tuple[int, Thing, bool]:
        """Its status, its body, and whether it was told before."""
        try:
            status, body = self._once(request, text)
        except Refused as error:
            told = {"type": error.type, "message": str(error), "code": error.code, "param": error.param}
            return error.status, {"error": {name: value for name, value in told.items() if value}}, False
        except Replayed as known:
            return (*known.answer, True)
        return status, body, False

    def _once(self, request: "Request", text: str) -> Answer:
        if self.down:
            raise Refused(503, "api_error", "Stripe is down")
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            raise Refused(401, "invalid_request_error", "Invalid API Key provided")
        if request.headers.get("Stripe-Version") != stripe.api_version:
            raise Refused(400, "invalid_request_error", "Another version than the SDK's")
        key = request.headers.get("Idempotency-Key", "")
        if request.method == "POST" and not key and request.path not in PASSING:
            self.keyless.append(request.path)
        if request.method != "POST" or not key:
            answer = self._do(request.method, request.path, text)
            if request.method == "GET":
                answer = json.loads(json.dumps(answer))  # what comes after it changes what was told
                self.account.pass_on()
            return answer
        asked = f"{request.path}?{text}"
        known = self._seen.get(key)
        if known is not None and known[0] + MEMORY_S > self.account.now_s:
            if known[1] != asked:
                message = (
                    "Keys for idempotent requests can only be used with the same parameters they were first used with"
                )
                raise Refused(400, "idempotency_error", message)
            raise Replayed(known[2])
        answer = self._do("POST", request.path, text)
        self._seen[key] = (self.account.now_s, asked, json.loads(json.dumps(answer)))
        return answer

    def _do(self, method: str, path: str, text: str) -> Answer:
        given = parse_form(text)
        known = stripe_params.find(KNOWN, method, path)
        if known is not None:
            stripe_params.check(known, given)
        account = self.account
        for part in (stripe_shop, stripe_meters, stripe_cards, stripe_clocks):
            if (made := part.answer(account, method, path.removeprefix("/v1/"), given)) is not None:
                return 200, made
        match method, path.removeprefix("/v1/").split("/"):
            case "POST", ["customers"]:
                return 200, account.customer(given.get("metadata", {}), given.get("test_clock"))
            case "POST", ["checkout", "sessions"]:
                return 200, account.session(given)
            case "POST", ["checkout", "sessions", name, "expire"]:
                account.expire(name)
                return 200, account.get(name, "checkout.session")
            case "DELETE", ["subscriptions", name]:
                account.cancel(name, at_once=True)
                return 200, account.get(name, "subscription")
            case "DELETE", ["customers", name]:
                account.delete_customer(name)
                return 200, account.get(name, "customer")
            case "POST", ["refunds"]:
                cents = int(given["amount"]) if "amount" in given else None
                return 200, account.refund(given["payment_intent"], cents, given.get("metadata", {}))
            case "POST", ["billing_portal", "sessions"]:
                account.living(given["customer"])
                fields = {
                    "customer": given["customer"],
                    "url": "http://portal.test/1",
                    "return_url": given.get("return_url"),
                }
                return 200, account.new("bps", "billing_portal.session", **fields)
            case "GET", ["balance"]:
                return 200, account.balance
            case "GET", ["invoices", name, "lines"]:
                return 200, listed(account.get(name, "invoice")["lines"]["data"], given, path)
            case "GET", ["invoice_payments"]:
                payment = given.get("payment", {}).get("payment_intent")
                found = [
                    item for item in _since(account.invoice_payments, given)
                    if payment in (None, item["payment"]["payment_intent"])
                    and given.get("invoice") in (None, item["invoice"])
                    and given.get("status") in (None, item["status"])
                ]  # fmt: skip
                return 200, listed(found, given, path)
            case "GET", ["events"]:
                made = account.events[: self._listable] if self.lags else account.events
                self._listable = len(account.events)
                return 200, listed(_since(reversed(made), given), given, path)
            case "GET", ["balance_transactions"]:
                return 200, self._transactions(given, path)
            case "GET", [*words] if "/".join(words) in OBJECTS:
                page = listed(self._filtered(OBJECTS["/".join(words)], given), given, path)
                wanted = {"expand": [name.removeprefix("data.") for name in given.get("expand", [])]}
                return 200, {**page, "data": [self._expanded(item, wanted) for item in page["data"]]}
            case "GET", [*words, name] if "/".join(words) in OBJECTS:
                return 200, self._expanded(account.get(name, OBJECTS["/".join(words)]), given)
            case _:
                raise Refused(404, "invalid_request_error", f"Unrecognized request URL ({method}: {path})")

    def _transactions(self, given: Thing, path: str) -> Thing:
        found = _since(reversed(self.account.transactions), given)
        if "data.source" in given.get("expand", []):
            found = [{**item, "source": self.account.things.get(item["source"] or "")} for item in found]
        return listed(found, given, path)

    def _filtered(self, object: str, given: Thing) -> list[Thing]:
        found = self.account.of(object)
        if object == "customer":  # Stripe does not list those that were deleted
            found = [item for item in found if not item.get("deleted")]
        if object == "subscription" and "status" not in given:
            found = [item for item in found if item["status"] != "canceled"]
        for name in ("customer", "email", "payment_intent", "status"):
            if name in given and (name, given[name]) != ("status", "all"):
                found = [item for item in found if item[name] == given[name]]
        if "subscription" in given:
            found = [
                item for item in found
                if item["parent"] and item["parent"]["subscription_details"]["subscription"] == given["subscription"]
            ]  # fmt: skip
        return found

    def _expanded(self, thing: Thing, given: Thing) -> Thing:
        for path in given.get("expand", []):
            thing = self._expand(thing, path.split("."))
        return thing

    def _expand(self, thing: Thing, path: list[str]) -> Thing:
        value = thing[path[0]]
        if isinstance(value, str):
            value = self.account.things[value]
        if value is not None and path[1:]:
            value = self._expand(value, path[1:])
        return {**thing, path[0]: value}


class Replayed(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__("replayed")
        self.answer = answer


def listed(found: list[Thing], given: Thing, path: str) -> Thing:
    """A page of it."""
    limit = int(given.get("limit", 10))
    if not 1 <= limit <= PAGE_MAX:
        raise Refused(400, "invalid_request_error", "This value must be between 1 and 100", "", "limit")
    after = given.get("starting_after")
    start = 0 if after is None else 1 + [item["id"] for item in found].index(after)
    page = found[start : start + limit]
    return {"object": "list", "data": page, "has_more": start + limit < len(found), "url": path}


def _since(items: Any, given: Thing) -> list[Thing]:
    first = int(given.get("created", {}).get("gte", 0))
    return [item for item in items if item["created"] >= first]


def parse_form(text: str) -> Thing:
    """``a[b][0][c]=d`` as Stripe reads it."""
    found: Thing = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        parts = re.findall(r"[^\[\]]+", name)
        at: Any = found
        for part in parts[:-1]:
            at = at.setdefault(part, {})
        at[parts[-1]] = value
    return {name: _lists(value) for name, value in found.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(name.isdigit() for name in value):
        return [_lists(value[name]) for name in sorted(value, key=int)]
    return {name: _lists(item) for name, item in value.items()}


@asynccontextmanager
async def running_stripe(account: Account, adversary: Adversary | None = None) -> AsyncIterator[StripeServer]:
    server = StripeServer(account, adversary or Adversary())
    async with serving({"/v1/{path:.*}": server.answer}) as url:
        server.base_url = url
        yield server


@asynccontextmanager
async def serving(routes: Mapping[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]) -> AsyncIterator[str]:
    """Handlers on a free port of loopback, for any method. Gives the base URL."""
    app = web.Application(client_max_size=64 * 2**20)
    for path, handler in routes.items():
        app.router.add_route("*", path, handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
