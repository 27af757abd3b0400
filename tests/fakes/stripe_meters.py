"""Billing Meters in the fake Stripe: meters, what they are told, and what they count.

As strict as Stripe is documented to be (docs.stripe.com/api, "Meter Events"; docs.stripe.com/billing/subscriptions/usage-based).
Written by hand after those pages; stricter in one thing: a customer that it does not know is refused at once, where Stripe may
take the event first and drop it afterwards. What is taken and does not count is ``dropped`` of the account.
"""

import re
from collections.abc import Mapping
from typing import Any

from stripe.params import billing

from tests.fakes.stripe_account import Account, Refused, Thing

KNOWN: Mapping[tuple[str, str], type] = {
    ("POST", "/v1/billing/meter_events"): billing.MeterEventCreateParams,
    ("GET", "/v1/billing/meters"): billing.MeterListParams,
    ("POST", "/v1/billing/meters"): billing.MeterCreateParams,
}
"""What may be asked, as the SDK has it."""

PAST_S = 35 * 86_400
AHEAD_S = 300
MEMORY_S = 86_400
VALUE = re.compile(r"-?[0-9]{1,15}")


def meter(account: Account, event_name: str) -> Thing:
    """As an operator makes it in the Dashboard."""
    return account.new(
        "mtr", "billing.meter", display_name=event_name, event_name=event_name, status="active", event_time_window=None,
        customer_mapping={"event_payload_key": "stripe_customer_id", "type": "by_id"}, updated=account.now_s,
        default_aggregation={"formula": "sum"}, status_transitions={"deactivated_at": None},
        value_settings={"event_payload_key": "value"},
    )  # fmt: skip


def metered_price(account: Account, event_name: str) -> Thing:
    """A cent for a unit."""
    price = account.price(1)
    price["recurring"] |= {"usage_type": "metered", "meter": _active(account, event_name)["id"]}
    return price


def answer(account: Account, method: str, path: str, given: Thing) -> Thing | None:
    """None for what is another's to answer. Raises ``Refused``."""
    match method, path.split("/"):
        case "POST", ["billing", "meter_events"]:
            return told(account, given)
        case "POST", ["billing", "meters"]:
            return _made(account, given)
        case "GET", ["billing", "meters"]:
            wanted = given.get("status", "active")
            found = [item for item in account.of("billing.meter") if item["status"] == wanted]
            return {"object": "list", "data": found, "has_more": False, "url": "/v1/billing/meters"}
        case "GET", ["billing", "meters", name, "event_summaries"]:
            return _summaries(account, account.get(name, "billing.meter"), given)
    return None


def told(account: Account, given: Thing) -> Thing:
    _active(account, given["event_name"])
    payload, at_s = given["payload"], int(given.get("timestamp", account.now_s))
    if not VALUE.fullmatch(payload.get("value", "")):
        raise _invalid("The value is a whole number", "payload")
    account.living(payload.get("stripe_customer_id", ""))
    if at_s < account.now_s - PAST_S:
        raise _invalid("The timestamp is more than 35 days in the past", "timestamp")
    if at_s > account.now_s + AHEAD_S:
        raise _invalid("The timestamp is more than 5 minutes in the future", "timestamp")
    name = given.get("identifier") or f"own-{len(account.meter_events)}"
    known = [item for item in account.meter_events if item["identifier"] == name]
    if any(item["created"] > account.now_s - MEMORY_S for item in known):
        raise _invalid("An event already exists with this identifier", "identifier")
    event: Thing = {
        "object": "billing.meter_event", "created": account.now_s, "livemode": account.live, "event_name": given["event_name"],
        "identifier": name, "payload": dict(payload), "timestamp": at_s,
    }  # fmt: skip
    account.meter_events.append(event)
    return event


def _made(account: Account, given: Thing) -> Thing:
    name = given["event_name"]
    if any(item["event_name"] == name and item["status"] == "active" for item in account.of("billing.meter")):
        raise _invalid("There is already an active meter with this event name", "event_name")
    if given["default_aggregation"] != {"formula": "sum"}:
        raise _invalid("Here a meter sums up", "default_aggregation")
    return meter(account, name)


def _summaries(account: Account, of: Thing, given: Thing) -> Thing:
    unknown = given.keys() - {"customer", "start_time", "end_time", "limit", "starting_after", "value_grouping_window"}
    if unknown:
        raise _invalid(f"Received unknown parameter: {min(unknown)}", min(unknown), "parameter_unknown")
    start_s, end_s = int(given["start_time"]), int(given["end_time"])
    if start_s % 60 or end_s % 60 or start_s >= end_s:
        raise _invalid("The times are aligned with minute boundaries, the start before the end", "start_time")
    customer = account.get(given["customer"], "customer")["id"]
    value = float(account.counted(of["event_name"], customer, start_s, end_s))
    summary: dict[str, Any] = {
        "id": f"mtrusg_{of['id']}_{start_s}", "object": "billing.meter_event_summary", "aggregated_value": value,
        "start_time": start_s, "end_time": end_s, "livemode": account.live, "meter": of["id"],
    }  # fmt: skip
    return {
        "object": "list",
        "data": [summary],
        "has_more": False,
        "url": f"/v1/billing/meters/{of['id']}/event_summaries",
    }


def _active(account: Account, event_name: str) -> Thing:
    for item in account.of("billing.meter"):
        if item["event_name"] == event_name and item["status"] == "active":
            return item
    raise _invalid(f"No active meter found for event name {event_name}", "event_name")


def _invalid(message: str, param: str, code: str = "") -> Refused:
    return Refused(400, "invalid_request_error", message, code, param)
