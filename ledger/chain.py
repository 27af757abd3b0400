"""What a batch comes to: pure functions, the same for each store and for a replay."""

from collections.abc import Callable, Mapping, Sequence

import orjson

from ledger.actions import (
    ApprovalGiven,
    ApprovalRefused,
    MessageReceived,
    MessageWithdrawn,
    PayloadErased,
    SettingChanged,
    StopAsked,
    TurnFinished,
)
from ledger.book import Book, is_money
from ledger.entry import GENESIS, Draft, Entry, commit, encode_entry, hash_text, leaf_hash
from ledger.errors import KeyReused, LedgerError
from ledger.merkle import Subtree, grow
from ledger.pseudonyms import ConversationId
from ledger.rules import work_out
from ledger.store import (
    EMPTY,
    Change,
    ConversationTouched,
    Found,
    Group,
    Head,
    Known,
    ModelPinned,
    Outcome,
    Receipt,
    Row,
    Sealed,
    SettingKept,
    TextsErased,
    TurnClosed,
    TurnOpened,
    TurnResumed,
    TurnTold,
)


def seal(found: Found, groups: Sequence[Group], now_us: int, new_salt: Callable[[], bytes]) -> Sealed:
    """Chain the groups to the head, in order. A bad group fails alone and leaves no trace; the others stand."""
    head, book = found.head, Book(found.standing)
    known: dict[str, Known | Row] = dict(found.known)
    rows: list[Row] = []
    outcomes: list[Outcome] = []
    for group in groups:
        before = len(rows)
        try:
            outcomes.append(_seal_group(head, rows, known, book, group, now_us, new_salt))
        except LedgerError as error:
            book.undo()
            del rows[before:]
            outcomes.append(error)
            continue
        book.keep()
        for row in rows[before:]:
            known[row.entry.idem] = row
    frontier, subtrees = grow(head.frontier, [row.hash for row in rows])
    changes = tuple([change for row in rows for change in project(row.entry)])
    if rows:
        head = Head(frontier.size, rows[-1].hash, rows[-1].entry.mono, frontier)
    return Sealed(head, tuple(rows), subtrees, changes, book.change(), tuple(outcomes))


def _seal_group(
    head: Head,
    rows: list[Row],
    known: Mapping[str, Known | Row],
    book: Book,
    group: Group,
    now_us: int,
    new_salt: Callable[[], bytes],
) -> tuple[Receipt, ...]:
    """The receipts. What is added comes after the ``rows`` that follow the head so far."""
    earlier = [known.get(draft.idem) for draft in group]
    if any(earlier):
        return tuple([_first_receipt(draft, first) for draft, first in zip(group, earlier, strict=True)])
    if len(group) > 1 and len({draft.idem for draft in group}) < len(group):
        raise KeyReused("two drafts of one group have the same key")
    receipts: list[Receipt] = []
    for draft in group:
        row = _chain(head, rows[-1] if rows else None, book, draft, now_us, new_salt)
        rows.append(row)
        receipts.append(Receipt(row.entry.seq, row.hash, True))
    return tuple(receipts)


def _chain(head: Head, last: Row | None, book: Book, draft: Draft, now_us: int, new_salt: Callable[[], bytes]) -> Row:
    """``last``: the row that this one follows, where that is not yet the head's."""
    seq, before, mono = (head.size, head.hash, head.mono) if last is None else _end(last)
    mono = max(mono, now_us)
    action, scope, body = draft.action, draft.scope, draft.payload
    salt = None if body is None else new_salt()
    moves = is_money(action)
    # Without their names, which take as long again as the rest of it: this is done for each entry.
    entry = Entry(
        seq,
        now_us,
        mono,
        action,
        scope.turn,
        scope.actor,
        scope.workspace,
        draft.idem,
        None if body is None or salt is None else commit(salt, body),
        hash_text(before) if seq else GENESIS,
        work_out(draft, book, mono) if moves else (),
        draft.stripe,
    )
    leaf = encode_entry(entry)
    if moves:
        book.enter(entry)
    return Row(entry, leaf, leaf_hash(leaf), scope.conversation, salt, body)


def _end(last: Row) -> tuple[int, bytes, int]:
    """The sequence of what follows the row; its hash, and its time."""
    return last.entry.seq + 1, last.hash, last.entry.mono


def _first_receipt(draft: Draft, first: Known | Row | None) -> Receipt:
    """The receipt that the draft's key has already, provided that it was the same request."""
    if first is None:
        raise KeyReused(f"{draft.idem}: others of its group are recorded, this one is not")
    if isinstance(first, Row):
        first = Known(first.entry.seq, first.leaf, first.hash, first.salt)
    stands = orjson.loads(first.leaf)
    payload = stands["payload"]
    again = Entry(
        seq=stands["seq"],
        ts=stands["ts"],
        mono=stands["mono"],
        action=draft.action,
        turn=draft.scope.turn,
        actor=draft.scope.actor,
        workspace=draft.scope.workspace,
        idem=draft.idem,
        # An erased payload can no longer be compared: then the entry's own fields decide.
        payload=None
        if draft.payload is None
        else commit(first.salt, draft.payload)
        if first.salt is not None
        else None,
        prev=stands["prev"],
        stripe=draft.stripe,
    )
    asked = orjson.loads(encode_entry(again))
    asked["postings"] = stands["postings"]  # they follow from the book as it was then
    if first.salt is None and draft.payload is not None and payload is not None:
        asked["payload"] = payload
    if asked != stands:
        raise KeyReused(f"{draft.idem} stands at entry {first.seq} with another request")
    return Receipt(first.seq, first.hash, False)


def project(entry: Entry) -> tuple[Change, ...]:
    """What an entry changes in the projections. Reads nothing but the entry, so that a replay gives the same rows."""
    match entry.action:
        case MessageReceived(platform=platform, conversation=conversation, kind=kind):
            return (
                TurnOpened(entry.turn, entry.seq, entry.workspace, entry.actor, conversation, platform, kind),
                ConversationTouched(conversation, entry.workspace, platform, entry.seq),
            )
        case StopAsked() | MessageWithdrawn():
            return (TurnTold(entry.turn),)
        case ApprovalGiven() | ApprovalRefused():
            return (TurnResumed(entry.turn),)
        case TurnFinished(outcome=outcome):
            return (TurnClosed(entry.turn, outcome),)
        case SettingChanged(setting="model", value=model, conversation=conversation) if conversation:
            return (ModelPinned(ConversationId(conversation), model),)
        case SettingChanged(setting=setting, value=value, conversation=conversation, person=person, item=item):
            return (SettingKept(entry.workspace, setting, value, conversation, person, item),)
        case PayloadErased(scope=scope, subject=subject, before_us=before_us):
            return (TextsErased(entry.workspace, scope, subject, before_us, entry.seq),)
        case _:
            return ()


class Replay:
    """Everything that follows from the entries, made anew from them: fed one by one, in order."""

    def __init__(self) -> None:
        self.book = Book()
        self.head = EMPTY
        self.subtrees: list[Subtree] = []

    def read(self, entry: Entry, digest: bytes) -> tuple[Change, ...]:
        """The changes of the other projections. Raises ``LedgerError`` where the entry cannot follow."""
        if entry.postings or is_money(entry.action):
            self.book.enter(entry)
            self.book.keep()
        frontier, subtrees = grow(self.head.frontier, (digest,))
        self.subtrees += subtrees
        self.head = Head(entry.seq + 1, digest, entry.mono, frontier)
        return project(entry)
