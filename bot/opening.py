"""The composition root's ledger: the store, the keys, and who signs. Where one is missing it is made, and never over another."""

import asyncio
import contextlib
import logging
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bot.keys import Keys, create_keys, create_vault_key, keys_exist, read_keys, read_vault_keys
from bot.settings import Settings
from bot.vault import Vault
from integrations.storage import beside
from integrations.storage.sqlite import SqliteStore
from ledger.actions import LedgerCreated
from ledger.entry import HOUSE, Draft
from ledger.errors import ChainBroken, KeyReused, StoreUnusable
from ledger.notary import CHECKPOINT_FILE, Notary
from ledger.note import Signer
from ledger.roadchain import RoadChain
from ledger.store import Store

if TYPE_CHECKING:
    from integrations.storage.postgres import PostgresStore

GENESIS_KEY = "ledger.created"
AUDIT_COPY = "audit-"
BESIDE = Path(beside.__file__)
"""The program that compares what stands beside the entries with them."""

log = logging.getLogger("carpool.opening")


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[tuple["SqliteStore | PostgresStore", Keys]]:
    """The store and the keys, made where they are missing. Raises ``StoreUnusable``, ``StoreFailed``."""
    _make_home(settings.home)
    store = await _open_store(settings)
    try:
        if not keys_exist(settings.home) and (await store.head()).size == 0:
            await asyncio.to_thread(create_keys, settings.home)
        yield store, read_keys(settings.home)
    finally:
        await store.aclose()


async def open_vault(settings: Settings, store: "SqliteStore | PostgresStore") -> Vault:
    """What seals the keys that people bring; its own key is made where it is missing. Raises ``StoreUnusable``."""
    if settings.vault_keys:
        return Vault(store, settings.vault_keys)
    return Vault(
        store, await asyncio.to_thread(create_vault_key, settings.home), lambda: read_vault_keys(settings.home)
    )


async def ledger_exists(settings: Settings) -> bool:
    """Whether there is one; nothing is made. Raises ``StoreUnusable`` where that cannot be found out."""
    if isinstance(settings.database, Path):
        return settings.database.exists()
    from integrations.storage.postgres import PostgresStore

    return await PostgresStore.exists(settings.database.reveal())


@asynccontextmanager
async def ledger_file(settings: Settings) -> AsyncIterator[Path]:
    """The ledger as a file, for the verifier: its own, or a copy that is there until the block ends."""
    if isinstance(settings.database, Path):
        yield settings.database
        return
    async with open_ledger(settings) as (store, _), file_of(settings, store) as path:
        yield path


@asynccontextmanager
async def file_of(
    settings: Settings, store: "SqliteStore | PostgresStore", prefix: str = "verify-"
) -> AsyncIterator[Path]:
    """As ``ledger_file``, of a store that is open. Raises ``StoreFailed``."""
    if isinstance(settings.database, Path):
        yield settings.database
        return
    with tempfile.TemporaryDirectory(prefix=prefix, dir=settings.home) as folder:
        path = Path(folder) / "roadchain.db"
        if not isinstance(store, SqliteStore):
            await store.copy(path)
        yield path


def verify_file(path: Path, arguments: Sequence[str] = ()) -> int:
    """The verifier on a ledger of ours, and then what it does not look at. Prints, and gives an exit status."""
    from ledger.verify import main

    return main([*arguments, "--db", str(path)]) or beside.main([str(path)])


@asynccontextmanager
async def file_for_audit(settings: Settings, store: "SqliteStore | PostgresStore") -> AsyncIterator[Path]:
    """As ``file_of``, for one process of a home at a time. A copy has texts in it: one that a killed process left goes first."""
    for left in await asyncio.to_thread(lambda: list(settings.home.glob(f"{AUDIT_COPY}*"))):
        await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
    async with file_of(settings, store, AUDIT_COPY) as path:
        yield path


async def ledger_doubts(store: "SqliteStore | PostgresStore") -> tuple[str, ...]:
    """What might lose entries in a power cut, and cannot be asserted from here."""
    return () if isinstance(store, SqliteStore) else await store.doubts()


async def open_notary(settings: Settings, store: Store, keys: Keys) -> Notary:
    """Who signs the ledger. Raises ``StoreUnusable`` where it is not the one, or not all of the one, that was signed before."""
    origin = await _origin(store, settings)
    try:
        signers = [Signer(origin, seed) for seed in keys.signing_seeds]
        return await Notary.open(store, signers, settings.home / CHECKPOINT_FILE)
    except ChainBroken as error:
        raise StoreUnusable(str(error), "Nothing was changed. `carpool ledger verify` says more.") from error


async def found_ledger(roadchain: RoadChain, store: Store, keys: Keys, origin: str) -> None:
    """Write the genesis entry of a new ledger."""
    if (await store.head()).size == 0:
        created = LedgerCreated(origin, secrets.token_hex(16), keys.public_key)
        # Two processes that start at once both try; one of them writes it.
        with contextlib.suppress(KeyReused):
            await roadchain.append(Draft(created, HOUSE, GENESIS_KEY))
        await check_key(store, keys)


async def close_if_changed(roadchain: RoadChain, store: Store) -> None:
    """Record nothing from the start on, where the ledger was found changed before."""
    if fault := await store.fault():
        log.critical("the ledger was found changed: nothing is recorded", extra={"cause": fault})
        roadchain.close_for(fault)


async def check_key(store: Store, keys: Keys) -> None:
    """See that a ledger is that of these keys."""
    first = await store.entries(-1, 1)
    genesis = first[0].entry.action if first else None
    if first and not (isinstance(genesis, LedgerCreated) and await _is_its_key(store, genesis, keys.public_key)):
        raise StoreUnusable(
            "the ledger was begun with another key than the one in CARPOOL_HOME",
            "Restore ledger.key and pseudonyms.key that belong to it, or name another ledger in CARPOOL_DATABASE_URL.",
        )


async def _is_its_key(store: Store, genesis: LedgerCreated, public_key: str) -> bool:
    return genesis.public_key == public_key or await store.find(key_added(public_key)) is not None


def key_added(public_key: str) -> str:
    """The idempotency key of the entry that puts a signing key into use."""
    return f"key.added/{public_key}"


async def _origin(store: Store, settings: Settings) -> str:
    """The name of the ledger: of the genesis entry where there is one."""
    first = await store.entries(-1, 1)
    genesis = first[0].entry.action if first else None
    return genesis.origin if isinstance(genesis, LedgerCreated) else settings.origin


async def _open_store(settings: Settings) -> "SqliteStore | PostgresStore":
    if isinstance(settings.database, Path):
        return await SqliteStore.open(settings.database)
    from integrations.storage.postgres import PostgresStore

    return await PostgresStore.open(settings.database.reveal())


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreUnusable(
            f"the folder {home} cannot be made ({error.strerror})", "Set CARPOOL_HOME to a folder that may be written."
        ) from error
