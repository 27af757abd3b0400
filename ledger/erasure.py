"""Erasing texts: of a person, of a conversation, or of a workspace before a time (its retention).

Texts stand beside the chain, and are deleted with their salts; what is left of them in an entry, ``SHA-256(salt || text)``, tells
nothing without the salt. Entries, roots, checkpoints and receipts stay as they are to the byte, and still verify.

What is erased is what that person said, and what was said in answer to it. A sentence of one person that an answer to
another quotes belongs to that other one: where it must go too, erase the conversation. What is said after is not erased,
and neither is what a platform shows, or a copy of the ledger that was made before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from ledger.actions import PayloadErased
from ledger.entry import HOUSE, Draft, Scope
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain
from ledger.store import Receipt, Store, TextsErased

TOGETHER_MAX = 100
"""So many turns are erased in one step."""


@dataclass(frozen=True, slots=True)
class OfPerson:
    workspace: WorkspaceId
    person: ActorId


@dataclass(frozen=True, slots=True)
class OfConversation:
    workspace: WorkspaceId
    conversation: ConversationId


@dataclass(frozen=True, slots=True)
class OlderThan:
    """Recorded before ``before_us``, in microseconds since 1970, by the entries' ``mono``."""

    workspace: WorkspaceId
    before_us: int


Texts: TypeAlias = OfPerson | OfConversation | OlderThan


@dataclass(frozen=True, slots=True)
class Erased:
    """How many texts there were to erase, and the entry that says so: None where there were none."""

    texts: int
    receipt: Receipt | None


async def erase(roadchain: RoadChain, store: Store, texts: Texts) -> Erased:
    """Erase what was recorded so far. **On return it is in no file of the store**, and ``payload.erased`` says that it was done.

    Where nothing is left to erase, nothing is recorded; the files are gone through again all the same. So whatever kept the first
    one from its end, a second one finishes it, and does no harm otherwise. Raises ``StoreFailed``: with ``busy`` the texts can
    no longer be read here, but a file still holds them, because somebody else uses it just now.
    """
    action = _action(texts)
    size = (await store.head()).size
    found = await store.texts(TextsErased(texts.workspace, action.scope, action.subject, action.before_us, size))
    receipt: Receipt | None = None
    if found:
        scope = Scope(texts.workspace, HOUSE.actor, HOUSE.conversation, HOUSE.turn)
        # Two at once that saw the same end of the ledger ask for the same: one entry serves both.
        key = f"payload.erased/{action.scope}/{action.subject}/{size}"
        if action.before_us is not None:
            key += f"/{action.before_us}"
        (receipt,) = await roadchain.append(Draft(action, scope, key))
    await store.scrub()
    return Erased(found, receipt)


async def erase_turns(roadchain: RoadChain, store: Store, workspace: WorkspaceId, turns: Sequence[TurnId]) -> int:
    """The same for single turns of a workspace. Returns how many texts there were to erase. Raises ``StoreFailed`` likewise."""
    size, erased, drafts = (await store.head()).size, 0, list[Draft]()
    scope = Scope(workspace, HOUSE.actor, HOUSE.conversation, HOUSE.turn)
    for turn in turns:
        if found := await store.texts(TextsErased(workspace, "turn", turn, None, size)):
            erased += found
            drafts.append(Draft(PayloadErased("turn", turn), scope, f"payload.erased/turn/{turn}/{size}"))
    for first in range(0, len(drafts), TOGETHER_MAX):
        await roadchain.append(*drafts[first : first + TOGETHER_MAX])
    await store.scrub()
    return erased


def _action(texts: Texts) -> PayloadErased:
    match texts:
        case OfPerson(person=person):
            return PayloadErased("person", person)
        case OfConversation(conversation=conversation):
            return PayloadErased("conversation", conversation)
        case OlderThan(workspace, before_us):
            return PayloadErased("age", workspace, before_us)
        case _:
            assert_never(texts)
