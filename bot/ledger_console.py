"""``carpool ledger``: look at RoadChain, hand out what proves it, and keep it. Each prints, and gives an exit status."""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from bot.consent import pending_owners
from bot.console import EXIT_OK, EXIT_USAGE, EXIT_WRONG, complain, say
from bot.credentials import ConnectedBy
from bot.keys import Keys, retire_old_key, rotate_signing_key
from bot.opening import (
    GENESIS_KEY,
    file_of,
    key_added,
    ledger_exists,
    ledger_file,
    open_ledger,
    open_notary,
    verify_file,
)
from bot.settings import Settings
from bot.vault import KeyOwner
from integrations.secrets import SecretStore
from ledger.actions import KeyAdded, KeyRemoved, LedgerCreated, LedgerReopened, ReplyPrepared
from ledger.book import Purse
from ledger.chain import Replay
from ledger.entry import HOUSE, Draft, Scope, decode_entry, hash_text
from ledger.erasure import OfConversation, OfPerson, OlderThan, Texts, erase
from ledger.errors import ChainBroken, LedgerError, StoreUnusable
from ledger.notary import Notary
from ledger.note import VerifierKey, log_key
from ledger.pseudonyms import Pseudonyms, TurnId
from ledger.receipts import make_receipt
from ledger.roadchain import RoadChain, clock_us
from ledger.store import Recorded, Store

PAGE_ENTRIES = 1000
EXIT_INCOMPLETE = 3
REOPEN = "`carpool ledger verify` says more; once it is whole, `carpool ledger reopen`."
DAY_US = 86_400_000_000


async def verify_ledger(settings: Settings, arguments: list[str]) -> int:
    """0 verified, 1 not (with the code and the first bad entry), 2 usage, 3 incomplete. Without arguments: this ledger."""
    from ledger.verify import main

    if any(word in ("--db", "--dir", "--receipt") for word in arguments):
        return await asyncio.to_thread(main, arguments)
    if not await _there(settings):
        return EXIT_USAGE
    async with ledger_file(settings) as file:
        return await asyncio.to_thread(verify_file, file, arguments)


async def list_entries(settings: Settings, *, json: bool) -> int:
    """A line an entry, or JSON Lines: the canonical bytes as they were hashed, beside their hash."""
    if not await _there(settings):
        return EXIT_USAGE
    async with open_ledger(settings) as (store, _):
        after = -1
        while page := await store.entries(after, PAGE_ENTRIES):
            sys.stdout.writelines(_as_json(recorded) if json else _as_line(recorded) for recorded in page)
            after = page[-1].entry.seq
    if after < 0:
        complain("There is nothing in the ledger yet: it begins with the first message.")
    return EXIT_OK


async def replay_ledger(settings: Settings) -> int:
    """Make the projections (open turns, conversations, the book, the tree) anew from the entries."""
    if not await _there(settings):
        return EXIT_USAGE
    async with open_ledger(settings) as (store, _):
        count = await store.replay()
    say(f"The projections were made anew from {count:,} entries.")
    return EXIT_OK


async def reopen_ledger(settings: Settings) -> int:
    """Record again, where the ledger was found changed and verifies now; that is the first entry then."""
    if not await _there(settings):
        return EXIT_USAGE
    async with open_ledger(settings) as (store, keys):
        fault = await store.fault()
        if not fault:
            say("Nothing was found wrong with the ledger: it is open.")
            return EXIT_OK
        say(f"Found: {fault}")
        await open_notary(settings, store, keys)
        async with file_of(settings, store) as file:
            status = await asyncio.to_thread(verify_file, file)
        if status != EXIT_OK:
            complain("It stays closed: restore a copy that is whole, or put right what was changed. Then try again.")
            return status
        async with RoadChain(store) as roadchain:
            await roadchain.append(Draft(LedgerReopened(fault), HOUSE, f"{LedgerReopened.name}/{secrets.token_hex(8)}"))
    say("The ledger is open again. Start CarPool anew: what runs still only reads.")
    return EXIT_OK


async def show_balances(settings: Settings, *, replay: bool) -> int:
    """Every account with its balance in uRC. With ``replay``, added up anew from the entries and compared: 1 where it differs."""
    if not await _there(settings):
        return EXIT_USAGE
    async with open_ledger(settings) as (store, _):
        rows = await store.balances()
        again = await _added_up(store) if replay else None
    if not rows:
        complain("No money has moved yet: there are no accounts.")
    width = max((len(row.account) for row in rows), default=0)
    for row in rows:
        say(f"{row.account:<{width}}  {row.natural:>20,} {'uRC' if row.currency == 'RC' else row.currency}")
    stored: dict[Purse, int] = {(row.account, row.currency): row.balance for row in rows}
    if any(sum(row.balance for row in rows if row.currency == name) for name in {row.currency for row in rows}):
        complain("RC011: the accounts do not sum to 0.")
        return EXIT_WRONG
    if again is None:
        return EXIT_OK
    differing = [purse for purse in sorted(stored.keys() | again.keys()) if stored.get(purse, 0) != again.get(purse, 0)]
    for account, currency in differing:
        complain(f"RC011: {account} ({currency}) is another in the entries: `carpool ledger replay` makes it anew.")
    if not differing:
        say(f"The same as added up from the entries: {len(rows)} accounts.")
    return EXIT_WRONG if differing else EXIT_OK


async def _added_up(store: Store) -> dict[Purse, int]:
    rebuilt = Replay()
    after = -1
    while page := await store.moved(after, PAGE_ENTRIES):
        for recorded in page:
            rebuilt.book.enter(decode_entry(recorded.leaf))
            rebuilt.book.keep()
        after = page[-1].entry.seq
    return {(row.account, row.currency): row.balance for row in rebuilt.book.change().accounts}


async def export_ledger(settings: Settings, folder: Path) -> int:
    """Sign the head and write the C2SP tiles. A second export to the same folder writes only what is new."""
    from ledger.tiles import export

    async with _signed(settings) as opened:
        if opened is None:
            return EXIT_USAGE
        store, notary, note, _ = opened
        try:
            exported = await export(store, note, notary.keys, folder, await _genesis_key(store))
        except ChainBroken as error:
            complain(f"{error}. Nothing was written there: export to another folder, and keep this one as it is.")
            return EXIT_WRONG
        except OSError as error:
            complain(f"{folder} cannot be written: {error.strerror}. What is there is whole; export again after that.")
            return EXIT_WRONG
    say(f"{exported.checkpoint.size:,} entries in {folder}; {exported.written} files are new.")
    say(f"To verify it: carpool ledger verify --dir {folder} --key {folder / 'vkey'}")
    return EXIT_OK


async def _genesis_key(store: Store) -> list[VerifierKey]:
    """The first key of the ledger: a folder may have been begun with it."""
    first = await store.find(GENESIS_KEY)
    created = None if first is None else first.entry.action
    if not isinstance(created, LedgerCreated):
        return []
    return [log_key(created.origin, bytes.fromhex(created.public_key))]


async def print_receipt(settings: Settings, turn: str) -> int:
    """The receipt of a turn's answer on standard output."""
    async with _signed(settings) as opened:
        if opened is None:
            return EXIT_USAGE
        store, notary, note, _ = opened
        entries = await store.entries_of(TurnId(turn))
        replies = [recorded for recorded in entries if isinstance(recorded.entry.action, ReplyPrepared)]
        if not entries:
            complain(f"There is no turn {turn}: an answer's footer names it.")
            return EXIT_USAGE
        return await _print_receipt(store, notary, note, (replies or list(entries))[-1])


async def print_proof(settings: Settings, seq: int) -> int:
    """The receipt of one entry on standard output."""
    async with _signed(settings) as opened:
        if opened is None:
            return EXIT_USAGE
        store, notary, note, _ = opened
        found = await store.entries(seq - 1, 1)
        if not found or found[0].entry.seq != seq:
            complain(f"There is no entry {seq}.")
            return EXIT_USAGE
        return await _print_receipt(store, notary, note, found[0])


async def _print_receipt(store: Store, notary: Notary, note: bytes, recorded: Recorded) -> int:
    sys.stdout.write((await make_receipt(store, recorded.leaf, recorded.entry.seq, note, notary.keys)).decode())
    return EXIT_OK


async def print_vkey(settings: Settings) -> int:
    """The public key, in the form that verifiers take."""
    if not await _there(settings):
        return EXIT_USAGE
    async with open_ledger(settings) as (store, keys):
        first = await _genesis_key(store)
        if not first:
            complain("The ledger has no entry yet.")
            return EXIT_INCOMPLETE
        say(log_key(first[0].name, bytes.fromhex(keys.public_key)).text())
    return EXIT_OK


async def print_journal(settings: Settings, form: str) -> int:
    """The book on standard output, as ``hledger`` or ``beancount`` reads it."""
    from ledger.journals import beancount_journal, hledger_journal

    if not await _there(settings):
        return EXIT_USAGE
    async with open_ledger(settings) as (store, _):
        async for piece in beancount_journal(store) if form == "beancount" else hledger_journal(store):
            sys.stdout.write(piece)
    return EXIT_OK


async def erase_texts(settings: Settings, kind: str, platform: str, workspace: str, names: Sequence[str]) -> int:
    """Erase the texts of a ``person`` (their id on the platform), of a ``conversation`` (channel, thread), or those that are
    ``older-than`` a number of days."""
    if not await _there(settings):
        return EXIT_USAGE
    async with open_ledger(settings) as (store, keys), RoadChain(store) as roadchain:
        known = Pseudonyms(keys.pseudonyms)
        of = known.workspace(platform, workspace)
        texts: Texts
        match kind:
            case "person":
                texts = OfPerson(of, known.actor(platform, workspace, names[0]))
            case "conversation":
                texts = OfConversation(of, known.conversation(platform, workspace, names[0], "".join(names[1:])))
            case _:
                texts = OlderThan(of, clock_us() - int(names[0]) * DAY_US)
        erased = await erase(roadchain, store, texts)
        keys_gone = 0
        if isinstance(texts, OfPerson):
            under_way = pending_owners(keys.pseudonyms, texts.workspace, texts.person)
            keys_gone = await _drop_keys(roadchain, store, texts)
            for sealed in await store.secrets(under_way):  # what they had not finished connecting
                await store.drop_secret(sealed.owner, sealed.name)
    if keys_gone:
        say(
            f"{keys_gone:,} keys and connections of the person's are removed. They are still good where they came from."
        )
    if erased.receipt is None:
        say(
            "There was nothing to erase. If that is a surprise: are platform, workspace and id written as the platform does?"
        )
        return EXIT_OK
    say(f"{erased.texts:,} texts are erased, from every file of the ledger; entry {erased.receipt.seq} says so.")
    say("What the platform shows, and copies of the ledger that were made before, are not.")
    return EXIT_OK


async def _drop_keys(roadchain: RoadChain, store: SecretStore, person: OfPerson) -> int:
    """The keys that a person brought, and the services that they connected, go with their texts. Durable on return; returns
    how many there were."""
    brought = KeyOwner(person.workspace, person.person).text
    connected = ConnectedBy(person.workspace, person.person).text
    scope = Scope(person.workspace, person.person, HOUSE.conversation, HOUSE.turn)
    kept = await store.secrets([brought, connected])
    for sealed in kept:
        await store.drop_secret(sealed.owner, sealed.name)
        removed = KeyRemoved("provider" if sealed.owner == brought else "service", "", sealed.name)
        await roadchain.append(Draft(removed, scope, f"key.removed/{secrets.token_hex(8)}"))
    return len(kept)


async def rotate_key(settings: Settings) -> int:
    """A new signing key; both sign until ``retire``. Stop what else works on this ledger first: it holds the old key."""
    async with _signed(settings) as opened:
        if opened is None:
            return EXIT_USAGE
        store, _, _, keys = opened
        if keys.retiring_seed is None:
            keys = await asyncio.to_thread(rotate_signing_key, settings.home)
        async with RoadChain(store) as roadchain:
            await roadchain.append(Draft(KeyAdded("signing", keys.public_key), HOUSE, key_added(keys.public_key)))
        await (await open_notary(settings, store, keys)).sign()
    say("A new key signs from now on, and the one before it too, until `carpool ledger retire-key`.")
    return await print_vkey(settings)


async def retire_key(settings: Settings) -> int:
    """The key before the one in use signs no more."""
    async with _signed(settings) as opened:
        if opened is None:
            return EXIT_USAGE
        store, notary, _, keys = opened
        if keys.retiring_seed is None:
            complain("There is no key to retire: one key signs.")
            return EXIT_USAGE
        retired = next(key for key in notary.keys if key.public_key.hex() != keys.public_key).public_key.hex()
        async with RoadChain(store) as roadchain:
            await roadchain.append(Draft(KeyRemoved("signing", retired), HOUSE, f"key.removed/{retired}"))
        await notary.sign()
        await asyncio.to_thread(retire_old_key, settings.home)
    say("The key before signs no more.")
    return EXIT_OK


@asynccontextmanager
async def _signed(settings: Settings) -> AsyncIterator[tuple[Store, Notary, bytes, Keys] | None]:
    """The store, who signs it, and a checkpoint of all that is in it; None (said) where there is no ledger."""
    if not await _there(settings):
        yield None
        return
    async with open_ledger(settings) as (store, keys):
        if fault := await store.fault():
            raise StoreUnusable(f"the ledger was found changed, and is not signed: {fault}", REOPEN)
        try:
            notary = await open_notary(settings, store, keys)
            await notary.sign()
            note = await notary.latest()
        except LedgerError as error:
            raise StoreUnusable(str(error), "`carpool ledger verify` says more.") from error
        if note is None:
            complain("The ledger has no entry yet.")
            yield None
            return
        yield store, notary, note, keys


async def _there(settings: Settings) -> bool:
    """Whether there is a ledger; where not, that is said."""
    there = await ledger_exists(settings)
    if not there:
        complain(f"There is no ledger at {settings.database_shown} yet: it begins with the first `carpool chat`.")
    return there


def _as_json(recorded: Recorded) -> str:
    return f'{{"entry":{recorded.leaf.decode()},"hash":"{hash_text(recorded.hash)}"}}\n'


def _as_line(recorded: Recorded) -> str:
    entry = recorded.entry
    when = datetime.fromtimestamp(entry.ts / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return f"{entry.seq:>8}  {when}  {entry.action.name:<17}  {entry.turn:<18}  {recorded.hash.hex()[:16]}\n"
