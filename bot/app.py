"""The composition root: the only file that names concrete classes."""

import asyncio
import contextlib
import logging
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.base import BaseAdapter
from adapters.errors import AdapterError, NotConfigured
from adapters.messages import ModelName, ProviderName
from bot.billing import Billing
from bot.checkpoints import Checkpoints, Witness
from bot.commands.base import Desk
from bot.commands.connect import TERMINAL
from bot.connections import Build, Connected, Connections
from bot.consent import CALLBACK_PATH, Consent
from bot.consent_page import come_back_page
from bot.credentials import Credentials
from bot.door import HouseDoor
from bot.expiry import Expiry
from bot.hourly import Hourly
from bot.intake import Intake
from bot.keys import Keys, create_keys, create_vault_key, keys_exist, read_keys, read_vault_keys
from bot.loopback import Loopback
from bot.lucidia import cards
from bot.lucidia.catalog import Catalog, ModelCard
from bot.lucidia.policy import Policy
from bot.lucidia.watch import Watch
from bot.notices import Notices
from bot.platforms.base import Door, Platform
from bot.providers import brought, hosted
from bot.retention import Retention
from bot.run import House
from bot.sentences import sentences_of
from bot.services import Services
from bot.settings import Settings
from bot.tooling import services_of, toolbox_of
from bot.vault import Vault
from integrations.documents.reading import DocumentReader
from integrations.oauth import OAuthApp
from integrations.storage.sqlite import SqliteStore
from ledger.actions import LedgerCreated
from ledger.entry import HOUSE, Draft
from ledger.errors import ChainBroken, KeyReused, StoreUnusable
from ledger.money import Money
from ledger.notary import CHECKPOINT_FILE, Notary
from ledger.note import Signer, parse_vkey
from ledger.pseudonyms import Pseudonyms
from ledger.roadchain import RoadChain, clock_us
from ledger.store import Store

if TYPE_CHECKING:  # imported where they are used, and only then
    from adapters.blackroad_local import LocalAdapter
    from adapters.local_models import LocalModels
    from bot.http.explorer import Explorer
    from integrations.storage.postgres import PostgresStore

log = logging.getLogger("carpool.app")

GENESIS_KEY = "ledger.created"
SIGNING_LOCK = "signing.lock"
EMBEDDED_TEMPERATURE = 0.0
"""The likeliest token each time. Of 14 simple questions, asked eight times each, 96 of 112 were answered so; at the 0.2 of
the model's card 81 and 88 in two runs. With llama.cpp's own 0.8 a model this small loses its thread."""
EMBEDDED_DRY_MULTIPLIER = 0.8
EMBEDDED_OUTPUT_TOKENS_MAX = 400
"""A model this small repeats itself where it should end; what it says after some 300 words is of no use to anybody."""

EMBEDDED_LANGUAGES = ("en",)


@dataclass(frozen=True, slots=True)
class Models:
    """What is connected. ``warm_up`` makes ready what is slow to begin with; it raises nothing.

    ``build`` connects a provider with a key that somebody brought.
    """

    adapters: Mapping[ProviderName, BaseAdapter]
    catalog: Catalog
    warm_up: Callable[[], Coroutine[Any, Any, None]]
    build: Build = lambda provider, key: None


@dataclass(frozen=True, slots=True)
class OpenHouse:
    """CarPool at work: turns are answered while it is open."""

    intake: Intake
    door: Door
    house: House
    pseudonyms: Pseudonyms


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
    async with open_ledger(settings) as (store, _):
        with tempfile.TemporaryDirectory(prefix="verify-", dir=settings.home) as folder:
            path = Path(folder) / "roadchain.db"
            if not isinstance(store, SqliteStore):
                await store.copy(path)
            yield path


async def ledger_doubts(store: "SqliteStore | PostgresStore") -> tuple[str, ...]:
    """What might lose entries in a power cut, and cannot be asserted from here."""
    return () if isinstance(store, SqliteStore) else await store.doubts()


@asynccontextmanager
async def open_house(
    settings: Settings,
    models: Models,
    platforms: Sequence[Platform],
    prepare: Callable[[Vault, RoadChain, Pseudonyms], None] = lambda vault, roadchain, pseudonyms: None,
) -> AsyncIterator[OpenHouse]:
    """Everything of a process that answers people. ``prepare`` is given what keeps installations, before the first turn.

    Raises ``StoreUnusable``, ``StoreFailed``.
    """
    async with AsyncExitStack() as stack:
        store, keys = await stack.enter_async_context(open_ledger(settings))
        roadchain = await stack.enter_async_context(RoadChain(store))
        await _check_key(store, keys)
        notary = await open_notary(settings, store, keys)
        await found_ledger(roadchain, store, keys, settings.origin)
        pseudonyms = Pseudonyms(keys.pseudonyms)
        by_name = {str(platform.name): platform for platform in platforms}
        # The intake is given the house, and a command of the house stops what the intake runs.
        witness = await stack.enter_async_context(_witness(settings))
        checkpoints = Checkpoints(notary, roadchain, store, settings.home / SIGNING_LOCK, witness)
        vault = await open_vault(settings, store)
        prepare(vault, roadchain, pseudonyms)
        connections = Connections(Connected(models.adapters, models.catalog), vault, models.build)
        services = services_of(settings)
        credentials = Credentials(vault, roadchain, services)
        consent = Consent(keys.pseudonyms, vault, roadchain, services)
        loopback = Loopback(lambda query, url: come_back_page(consent, query, url))
        stack.push_async_callback(loopback.aclose)
        stack.push_async_callback(connections.aclose)
        say = sentences_of(settings.language)
        desk = Desk(
            store,
            connections,
            lambda conversation: intake.stop(conversation),
            checkpoints.receipt,
            Watch(store, clock_us),
            _policy(settings),
            pseudonyms,
            allowance_s=settings.limits.allowance_s,
            services=Services(services, credentials, consent, _Way(settings, loopback)),
            billing=await stack.enter_async_context(
                open_billing(settings, store, roadchain, Notices(roadchain, store, pseudonyms, frozenset(by_name), say))
            ),
            say=say,
        )
        documents = DocumentReader(settings.limits.documents_at_once_max)
        toolbox = await toolbox_of(settings, clock_us, credentials)
        house = House(roadchain, desk, by_name, toolbox, settings.limits, clock_us, documents, settings.image_hosts)
        intake = Intake(house, pseudonyms, store.owner, clock_us)
        if not isinstance(store, SqliteStore):
            store.on_turns(intake.heard)
        erasing = Hourly(Retention(roadchain, store, settings.retention_days, clock_us).apply, "texts erased")
        ending = Hourly(Expiry(roadchain, store, clock_us).apply, "promotional credit ended")
        async with checkpoints, erasing, ending, intake:
            yield OpenHouse(intake, HouseDoor(intake, house), house, pseudonyms)


async def open_consent(
    settings: Settings, store: "SqliteStore | PostgresStore", keys: Keys, roadchain: RoadChain
) -> Consent:
    """The way back from services, for a process that answers nobody. Raises ``StoreUnusable``."""
    vault = await open_vault(settings, store)
    return Consent(keys.pseudonyms, vault, roadchain, services_of(settings))


@dataclass(frozen=True, slots=True)
class _Way:
    """Fits ``bot.services.Way``: a terminal is led back to where its program listens, everybody else to ``carpool web``."""

    settings: Settings
    loopback: Loopback

    async def back(self, platform: str, oauth: OAuthApp) -> str:
        if platform == TERMINAL and oauth.loopback:
            return await self.loopback.redirect_url()
        return callback_url(self.settings)

    def there(self, platform: str, url: str) -> str:
        return self.loopback.short(url) if platform == TERMINAL and self.loopback.listens else url


def callback_url(settings: Settings) -> str:
    """Where browsers reach the way back from a service; empty where they cannot."""
    return f"{settings.public_url}{CALLBACK_PATH}" if settings.public_url else ""


@asynccontextmanager
async def open_billing(
    settings: Settings,
    store: "SqliteStore | PostgresStore",
    roadchain: RoadChain,
    notices: Notices,
    *,
    at_work: bool = True,
) -> AsyncIterator[Billing]:
    """How people pay here. ``at_work``: events are handled, and scanned for. Raises ``NotConfigured`` for wrong plans."""
    from integrations.payments import invoiced
    from integrations.payments.cashier import Cashier
    from integrations.payments.plans import read_plans
    from integrations.payments.roadchain_bridge import Bridge

    try:
        plans = read_plans(settings.plans)
    except ValueError as error:
        raise NotConfigured(f"{error}. The README shows the form; or unset CARPOOL_PLANS.") from error
    by_hand, reward = invoiced.InvoicedPayments(store), Money(settings.referral_urc)
    billing = Billing(
        settings.charges,
        settings.markup_bps,
        settings.person_day_urc_max,
        settings.workspace_month_urc_max,
        plans,
        invoiced=Cashier(by_hand, Bridge(roadchain, store, by_hand.rail, plans, reward), clock_us),
        referral=reward,
    )
    if not settings.stripe_api_key:
        yield billing
        return
    from integrations.payments.stripe import StripePayments

    stripe = StripePayments(
        settings.stripe_api_key.reveal(),
        settings.stripe_webhook_secrets,
        settings.stripe_api_url,
        settings.stripe_return_url,
        taxes=settings.stripe_tax,
    )
    cashier = Cashier(stripe, Bridge(roadchain, store, stripe.rail, plans, reward), clock_us, stripe, notices.tell)
    try:
        async with cashier if at_work else contextlib.nullcontext():
            yield replace(billing, cashier=cashier)
    finally:
        await stripe.aclose()


async def open_notary(settings: Settings, store: Store, keys: Keys) -> Notary:
    """Who signs the ledger. Raises ``StoreUnusable`` where it is not the one, or not all of the one, that was signed before."""
    origin = await _origin(store, settings)
    try:
        signers = [Signer(origin, seed) for seed in keys.signing_seeds]
        return await Notary.open(store, signers, settings.home / CHECKPOINT_FILE)
    except ChainBroken as error:
        raise StoreUnusable(str(error), "Nothing was changed. `carpool ledger verify` says more.") from error


async def _origin(store: Store, settings: Settings) -> str:
    """The name of the ledger: of the genesis entry where there is one."""
    first = await store.entries(-1, 1)
    genesis = first[0].entry.action if first else None
    return genesis.origin if isinstance(genesis, LedgerCreated) else settings.origin


@asynccontextmanager
async def _witness(settings: Settings) -> AsyncIterator[Witness | None]:
    if not settings.witness_url:
        yield None
        return
    from integrations.witness import HttpWitness

    async with HttpWitness(settings.witness_url) as transport:
        yield Witness(transport, parse_vkey(settings.witness_key))


@asynccontextmanager
async def open_models(settings: Settings) -> AsyncIterator[Models]:
    """Every adapter that is set up. None of them connects, imports an SDK or reads weights before its first call.

    Raises ``NotConfigured`` where a script in place of a model is none, the operator's catalogue is wrong, or two local models
    have one name.
    """
    shelf = open_shelf(settings)
    adapters: dict[ProviderName, BaseAdapter] = {}
    listed: list[ModelCard] = []
    warm_up = _nothing
    if settings.scripted is not None:
        from adapters.scripted import ScriptedAdapter

        adapters[cards.SCRIPTED] = ScriptedAdapter.from_file(cards.SCRIPTED, settings.scripted)
        listed.append(cards.scripted_card())
    for adapter, offered in hosted(settings, shelf):
        adapters[adapter.provider] = adapter
        listed += offered
    if settings.local_enabled:
        from adapters.blackroad_local import EMBEDDED_MODEL

        local = _local_models(settings)
        adapters[cards.LOCAL] = local
        model = EMBEDDED_MODEL if settings.local_model is None else settings.local_model.stem
        output_tokens_max = (
            EMBEDDED_OUTPUT_TOKENS_MAX if settings.local_model is None else settings.local_context_tokens
        )
        languages = EMBEDDED_LANGUAGES if settings.local_model is None else ()
        local_card = cards.local_card(model, settings.local_context_tokens, output_tokens_max, languages)
        own = [local_card, *(cards.fork_card(fork, local_card) for fork in _forks(settings))]
        own += [cards.folder_card(name, settings.local_context_tokens) for name in _others(settings)]
        listed += _named_apart(own)
        warm_up = local.warm_up
    try:
        yield Models(
            adapters,
            Catalog.of(listed),
            lambda: _quietly(warm_up),
            lambda provider, key: brought(provider, key, settings, shelf),
        )
    finally:
        await asyncio.gather(*(adapter.aclose() for adapter in adapters.values()), return_exceptions=True)


def key_builder(settings: Settings) -> Build:
    """What connects a provider with a key that somebody brought. Raises ``NotConfigured``."""
    shelf = open_shelf(settings)
    return lambda provider, key: brought(provider, key, settings, shelf)


def _policy(settings: Settings) -> Policy:
    budget = Money(settings.answer_urc_max) if settings.answer_urc_max else None
    return Policy(
        settings.policy, settings.model, tuple(map(ProviderName, settings.providers)), budget, settings.reasoning_effort
    )


def open_shelf(settings: Settings) -> cards.Shelf:
    """The catalogue: every model that is known, connected or not. Raises ``NotConfigured``."""
    try:
        return cards.read_shelf(settings.catalogue, datetime.now(UTC).date())
    except ValueError as error:
        raise NotConfigured(f"{error}. bot/lucidia/models.toml shows the form; or unset CARPOOL_CATALOGUE.") from error


@asynccontextmanager
async def open_explorer(settings: Settings, store: Store) -> "AsyncIterator[Explorer | None]":
    """What shows the ledger over HTTP, where that is wanted. In PostgreSQL it reads as a role that sees no text.

    Raises ``StoreUnusable``.
    """
    if not settings.explorer_enabled:
        yield None
        return
    from bot.http.explorer import Explorer

    if isinstance(settings.database, Path):
        yield Explorer(store, settings.limits.page_entries_max)
        return
    from integrations.storage.postgres_published import PublishedLog

    async with PublishedLog.opened(settings.database.reveal()) as published:
        if published is None:
            log.warning("the explorer reads as CarPool's own user: the server has no role carpool_explorer for it")
        yield Explorer(published or store, settings.limits.page_entries_max)


def embedded_is_best(settings: Settings, catalog: Catalog) -> bool:
    """Whether a person should be told how to get something better than the embedded model."""
    best = catalog.cards[0] if catalog.cards else None
    return best is not None and best.provider == cards.LOCAL and not (settings.local_model or _others(settings))


async def try_local_model(settings: Settings) -> tuple[Path | None, str]:
    """The local model's file, after it was loaded once; or None, and what to do about it."""
    from adapters.blackroad_local import embedded_weights

    local = _local_adapter(settings)
    try:
        await local.warm_up()
        return settings.local_model or embedded_weights(), ""
    except NotConfigured as error:
        return None, error.remedy
    finally:
        await local.aclose()


def _forks(settings: Settings) -> Mapping[ModelName, Path]:
    from adapters.blackroad_local import user_forks

    return {} if settings.local_forks is None else user_forks(settings.local_forks)


def _local_adapter(settings: Settings) -> "LocalAdapter":
    from adapters.blackroad_local import LocalAdapter, LoraFork

    embedded = settings.local_model is None
    return LocalAdapter(
        cards.LOCAL,
        settings.local_model,
        tuple(LoraFork(path, scale) for path, scale in settings.local_lora),
        settings.local_context_tokens,
        settings.local_parallel_max,
        settings.local_threads,
        EMBEDDED_TEMPERATURE if embedded else None,
        EMBEDDED_DRY_MULTIPLIER if embedded else 0.0,
        _forks(settings),
    )


def _others(settings: Settings) -> Mapping[ModelName, Path]:
    from adapters.local_models import user_models

    return {} if settings.local_models is None else user_models(settings.local_models)


def _local_models(settings: Settings) -> "LocalAdapter | LocalModels":
    from adapters.blackroad_local import LocalAdapter
    from adapters.local_models import LocalModels

    main = _local_adapter(settings)
    context_tokens, parallel_max = settings.local_context_tokens, settings.local_parallel_max
    others = {
        name: LocalAdapter(cards.LOCAL, path, (), context_tokens, parallel_max, settings.local_threads)
        for name, path in _others(settings).items()
    }
    return LocalModels(cards.LOCAL, main, others, settings.local_loaded_max) if others else main


def _named_apart(local: Sequence[ModelCard]) -> Sequence[ModelCard]:
    """Raises ``NotConfigured`` where two have one name: nobody could say which of them is meant."""
    names = [card.model for card in local]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise NotConfigured(
            f"Two models on this machine are named {twice[0]}: rename its file in CARPOOL_LOCAL_MODELS or CARPOOL_LOCAL_FORKS."
        )
    return local


async def _open_store(settings: Settings) -> "SqliteStore | PostgresStore":
    if isinstance(settings.database, Path):
        return await SqliteStore.open(settings.database)
    from integrations.storage.postgres import PostgresStore

    return await PostgresStore.open(settings.database.reveal())


async def found_ledger(roadchain: RoadChain, store: Store, keys: Keys, origin: str) -> None:
    """Write the genesis entry of a new ledger."""
    if (await store.head()).size == 0:
        created = LedgerCreated(origin, secrets.token_hex(16), keys.public_key)
        # Two processes that start at once both try; one of them writes it.
        with contextlib.suppress(KeyReused):
            await roadchain.append(Draft(created, HOUSE, GENESIS_KEY))
        await _check_key(store, keys)


async def _check_key(store: Store, keys: Keys) -> None:
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


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreUnusable(
            f"the folder {home} cannot be made ({error.strerror})", "Set CARPOOL_HOME to a folder that may be written."
        ) from error


async def _nothing() -> None:
    return None


async def _quietly(warm_up: Callable[[], Awaitable[None]]) -> None:
    try:
        await warm_up()
    except AdapterError as error:
        # Whoever asks this model is told in words; nobody has asked yet.
        log.warning("a model could not be made ready", extra={"cause": error.code})
