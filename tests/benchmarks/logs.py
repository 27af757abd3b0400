"""Ledgers of a given size to measure on: whole turns, each of seven entries with three texts, as the house records them; where
they are paid for, of nine.
"""

import hashlib
from collections.abc import Iterator

from ledger.actions import (
    Candidate,
    LedgerCreated,
    MessageReceived,
    ModelAnswered,
    ModelCalled,
    ReplyPrepared,
    ReplySent,
    RouteChosen,
    TurnFinished,
)
from ledger.book import wanted
from ledger.chain import seal
from ledger.credit_actions import CreditReserved, CreditSettled, CreditTopup
from ledger.entry import HOUSE, Draft, Scope
from ledger.note import Signer
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import clock_us, new_salt
from ledger.store import Store

SIGNER = Signer("carpool.local", b"s" * 32)
GENESIS = Draft(LedgerCreated(SIGNER.name, "ab" * 16, SIGNER.verifier().public_key.hex()), HOUSE, "genesis")
GROUP_TURNS = 1500
TURNS_OF_A_CONVERSATION = 20

_WORKSPACE = WorkspaceId("w-9n8m7k6j5h4g3f2e")
_TEXT = b"What does a ledger have to show before anybody believes it? " * 2
_ROUTE = RouteChosen(
    (Candidate("openai", "gpt-5-mini", 1200), Candidate("anthropic", "claude-haiku-4-5", 1700)), "cost"
)
_CALLED = ModelCalled(1, 0, "openai", "gpt-5-mini", 4096)
_ANSWERED = ModelAnswered(1, "answered", "stop", "", True, True, 812, 240, 0, 0, 0, 420_000, 1_900_000)


def _name(kind: str, number: int) -> str:
    """As scattered as a pseudonym is, so that indexes are written as they are in life."""
    return f"{kind}-{hashlib.sha256(b'%d' % number).hexdigest()[:16]}"


def turn(number: int) -> tuple[Draft, ...]:
    conversation = number // TURNS_OF_A_CONVERSATION
    name = TurnId(_name("t", number))
    place = ConversationId(_name("c", conversation))
    scope = Scope(_WORKSPACE, ActorId(_name("a", conversation % 1000)), place, name)
    return (
        Draft(MessageReceived("slack", place, "message", ""), scope, f"{name}/received", _TEXT),
        Draft(_ROUTE, scope, f"{name}/route"),
        Draft(_CALLED, scope, f"{name}/call/1"),
        Draft(_ANSWERED, scope, f"{name}/answer/1", _TEXT * 4),
        Draft(ReplyPrepared(1, "answer", "answered"), scope, f"{name}/reply/1", _TEXT * 4),
        Draft(ReplySent(1, False), scope, f"{name}/sent/1"),
        Draft(TurnFinished("answered"), scope, f"{name}/finished"),
    )


def paid_turn(number: int) -> tuple[Draft, ...]:
    """The same, held for before the model is called and settled after."""
    received, route, called, answered, *rest = turn(number)
    scope = received.scope
    hold = f"{scope.turn}/1"
    reserved = Draft(CreditReserved(hold, 2_000, 900, "openai", "gpt-5-mini"), scope, f"{scope.turn}/reserve/1")
    settled = Draft(CreditSettled(hold, 700 + number % 200, "openai", 600), scope, f"{scope.turn}/settle/1")
    return (received, route, reserved, called, answered, settled, *rest)


def _groups(size: int, *, paid: bool) -> Iterator[list[Draft]]:
    group = [GENESIS]
    if paid:
        outside = Scope(_WORKSPACE, ActorId(""), ConversationId(""), TurnId(""))
        group.append(Draft(CreditTopup("stripe", 10**12), outside, "topup"))
    missing, number = size - len(group), 0
    while missing > 0:
        for _ in range(GROUP_TURNS):
            drafts = (paid_turn if paid else turn)(number)[:missing]
            group += drafts
            missing -= len(drafts)
            number += 1
        yield group
        group = []


async def fill(store: Store, size: int, *, paid: bool = False) -> None:
    """``size`` entries in an empty store, in big transactions."""
    for drafts in _groups(size, paid=paid):
        groups = [(draft,) for draft in drafts]
        now_us = clock_us()
        await store.commit(wanted(drafts), lambda found: seal(found, groups, now_us, new_salt))  # noqa: B023  # awaited here
