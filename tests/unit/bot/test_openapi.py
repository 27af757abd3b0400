"""The description of the explorer: valid, and of every action with every field."""

from functools import cache
from types import NoneType
from typing import Any, Literal, NewType, get_args, get_origin, get_type_hints

import orjson
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from bot.http.openapi import Schema, document
from ledger.accounts import Account, Currency, Posting
from ledger.actions import ACTIONS, Action, field_names
from ledger.entry import GENESIS, Commitment, Entry, StripeObject, encode_entry
from ledger.pseudonyms import ActorId, TurnId, WorkspaceId

DOCUMENT = document(256)


@cache
def schema(name: str) -> Draft202012Validator:
    whole = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    return Draft202012Validator(whole)


def value(hint: Any, *, last: bool) -> object:
    """One of the type: the first that it lists, or the last."""
    if isinstance(hint, NewType):
        return value(hint.__supertype__, last=last)
    inner = get_args(hint)
    if get_origin(hint) is Literal:
        return inner[-1 if last else 0]
    if get_origin(hint) is tuple:
        return (made(inner[0], last=last),) if last else ()
    if inner:
        return value(inner[-1 if last else 0], last=last)
    plain: dict[type, object] = {int: -7 if last else 0, str: "x" if last else "", bool: last, NoneType: None}
    return plain[hint]


def made(kind: type, *, last: bool) -> Any:
    hints = get_type_hints(kind)
    return kind(**{name: value(hints[name], last=last) for name in field_names(kind)})


def written(action: Action, *, full: bool) -> Schema:
    entry = Entry(
        seq=5,
        ts=1,
        mono=1,
        action=action,
        turn=TurnId("t"),
        actor=ActorId("a"),
        workspace=WorkspaceId("w"),
        idem="i",
        payload=Commitment("ab" * 32, 3) if full else None,
        prev=f"ps-sha256:{'cd' * 32}" if full else GENESIS,
        postings=(Posting(Account("A:x"), Currency("uRC"), -5), Posting(Account("L:y"), Currency("uRC"), 5)) * full,
        stripe=StripeObject("payment_intent", "pi_1") if full else None,
    )
    read: Schema = orjson.loads(encode_entry(entry))
    return read


def test_it_is_valid_openapi() -> None:
    validate(DOCUMENT)


@pytest.mark.parametrize("name", ACTIONS)
def test_an_entry_of_each_action_is_described_with_all_its_fields(name: str) -> None:
    for full in (True, False):
        entry = written(made(ACTIONS[name], last=full), full=full)
        schema("Entry").validate(entry)
        schema(name).validate(entry)
        assert entry.keys() == DOCUMENT["components"]["schemas"][name]["properties"].keys()
        for field in DOCUMENT["components"]["schemas"][name]["required"]:
            assert not schema(name).is_valid({key: item for key, item in entry.items() if key != field})
        assert not schema(name).is_valid({**entry, "text": "hello"})
        assert not schema(name).is_valid({**entry, "seq": "5"})


def test_a_field_that_came_later_may_be_missing_in_an_old_entry() -> None:
    entry = written(made(ACTIONS["model.answered"], last=True), full=True)
    del entry["retry_after_s"]
    schema("Entry").validate(entry)


def test_an_action_that_there_is_not_is_no_entry() -> None:
    entry = written(made(ACTIONS["turn.finished"], last=True), full=True)
    assert not schema("Entry").is_valid({**entry, "action": "turn.forgotten"})


def test_the_limit_of_a_page_is_the_one_that_is_set() -> None:
    limit = document(17)["paths"]["/v1/ledger/entries"]["get"]["parameters"][1]
    assert (limit["name"], limit["schema"]["maximum"]) == ("limit", 17)
