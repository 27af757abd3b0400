"""The composition root: the only file that names concrete classes."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.base import BaseAdapter
from adapters.errors import AdapterError, NotConfigured
from adapters.messages import ProviderName
from bot.audit import AUDIT_LOCK, Audit
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
from bot.keys import Keys
from bot.local import local_cards, local_models, only_embedded
from bot.loopback import Loopback
from bot.lucidia import cards
from bot.lucidia.catalog import Catalog, ModelCard
from bot.lucidia.policy import Policy
from bot.lucidia.watch import Watch
from bot.notices import Notices
from bot.opening import (
    BESIDE,
    check_key,
    close_if_changed,
    file_for_audit,
    found_ledger,
    open_ledger,
    open_notary,
    open_vault,
)
from bot.own_usage import own_usage
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
from integrations.tools.base import PlaceToken
from ledger.money import Money
from ledger.note import parse_vkey
from ledger.pseudonyms import Pseudonyms
from ledger.roadchain import RoadChain, clock_us
from ledger.store import Store

if TYPE_CHECKING:  # imported where they are used, and only then
    from bot.http.explorer import Explorer
    from integrations.payments.stripe import StripePayments
    from integrations.storage.postgres import PostgresStore

log = logging.getLogger("carpool.app")

SIGNING_LOCK = "signing.lock"


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
async def open_house(
    settings: Settings,
    models: Models,
    platforms: Sequence[Platform],
    prepare: Callable[
        [Vault, RoadChain, Pseudonyms], Mapping[str, PlaceToken]
    ] = lambda vault, roadchain, pseudonyms: {},
) -> AsyncIterator[OpenHouse]:
    """Everything of a process that answers people. ``prepare`` is given what keeps installations, before the first turn, and
    gives the tokens that tools take of them.

    Raises ``StoreUnusable``, ``StoreFailed``.
    """
    async with AsyncExitStack() as stack:
        store, keys = await stack.enter_async_context(open_ledger(settings))
        roadchain = await stack.enter_async_context(RoadChain(store))
        await check_key(store, keys)
        await close_if_changed(roadchain, store)
        notary = await open_notary(settings, store, keys)
        await found_ledger(roadchain, store, keys, settings.origin)
        pseudonyms = Pseudonyms(keys.pseudonyms)
        by_name = {str(platform.name): platform for platform in platforms}
        # The intake is given the house, and a command of the house stops what the intake runs.
        witness = await stack.enter_async_context(_witness(settings))
        checkpoints = Checkpoints(notary, roadchain, store, settings.home / SIGNING_LOCK, witness)
        vault = await open_vault(settings, store)
        places = prepare(vault, roadchain, pseudonyms)
        connections = Connections(Connected(models.adapters, models.catalog), vault, models.build)
        services = services_of(settings)
        credentials = Credentials(vault, roadchain, services)
        consent = Consent(keys.pseudonyms, vault, roadchain, services)
        say = sentences_of(settings.language)
        loopback = Loopback(lambda query, url: come_back_page(consent, query, url, say), say)
        stack.push_async_callback(loopback.aclose)
        stack.push_async_callback(connections.aclose)
        desk = Desk(
            store,
            connections,
            lambda conversation: intake.stop(conversation),
            checkpoints.receipt,
            Watch(store, clock_us),
            _policy(settings),
            pseudonyms,
            allowance_s=settings.limits.allowance_s,
            undo_s=settings.limits.undo_s,
            services=Services(services, credentials, consent, _Way(settings, loopback)),
            billing=await stack.enter_async_context(
                open_billing(settings, store, roadchain, Notices(roadchain, store, pseudonyms, frozenset(by_name), say))
            ),
            say=say,
        )
        documents = DocumentReader(settings.limits.documents_at_once_max)
        usage = None if settings.charges == "none" else lambda use: own_usage(use, desk)
        toolbox = await toolbox_of(settings, clock_us, credentials, places, usage)
        house = House(roadchain, desk, by_name, toolbox, settings.limits, clock_us, documents, settings.image_hosts)
        intake = Intake(house, pseudonyms, store.owner, clock_us)
        if not isinstance(store, SqliteStore):
            store.on_turns(intake.heard)
        erasing = Hourly(Retention(roadchain, store, settings.retention_days, clock_us).apply, "texts erased")
        ending = Hourly(Expiry(roadchain, store, clock_us).apply, "promotional credit ended")
        audit = Audit(
            roadchain, lambda: file_for_audit(settings, store), settings.home / AUDIT_LOCK, settings.audit_s, (BESIDE,)
        )
        comparing = reconciling(settings, house.desk.billing, store)
        async with checkpoints, erasing, ending, _metering(house.desk.billing, store), comparing, audit, intake:
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
        tool_prices=dict(settings.tool_prices),
        person_month_max=settings.person_month_urc_max,
        workspace_day_max=settings.workspace_day_urc_max,
    )
    stripe = stripe_of(settings)
    if stripe is None:
        yield billing
        return
    cashier = Cashier(stripe, Bridge(roadchain, store, stripe.rail, plans, reward), clock_us, stripe, notices.tell)
    try:
        async with cashier if at_work else contextlib.nullcontext():
            yield replace(billing, cashier=cashier)
    finally:
        await stripe.aclose()


def stripe_of(settings: Settings) -> "StripePayments | None":
    """It connects at its first call. None where nobody can pay through it."""
    if not settings.stripe_api_key:
        return None
    from integrations.payments.stripe import StripePayments

    return StripePayments(
        settings.stripe_api_key.reveal(),
        settings.stripe_webhook_secrets,
        settings.stripe_api_url,
        settings.stripe_return_url,
        taxes=settings.stripe_tax,
    )


def reconciling(
    settings: Settings, billing: Billing, store: "SqliteStore | PostgresStore"
) -> contextlib.AbstractAsyncContextManager[object]:
    """Compares the ledger with the payment service, where there is one."""
    if billing.cashier is None:
        return contextlib.nullcontext()
    from bot.reconciling import RECONCILE_LOCK, Reconciling

    work = Reconciling(billing.cashier, store, clock_us, settings.home / RECONCILE_LOCK)
    return Hourly(work.apply, "differences of payments found")


def _metering(billing: Billing, store: "SqliteStore | PostgresStore") -> contextlib.AbstractAsyncContextManager[object]:
    """Tells what is paid later, where a plan has a meter."""
    cashier = billing.cashier
    if cashier is None or cashier.subscriptions is None or not any(plan.meter for plan in billing.plans.all):
        return contextlib.nullcontext()
    from integrations.payments.metering import Metering

    return Hourly(Metering(cashier, cashier.subscriptions, store, clock_us).apply, "readings of usage taken")


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
        local = local_models(settings)
        adapters[cards.LOCAL] = local
        listed += local_cards(settings)
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
    return best is not None and best.provider == cards.LOCAL and only_embedded(settings)


async def _nothing() -> None:
    return None


async def _quietly(warm_up: Callable[[], Awaitable[None]]) -> None:
    try:
        await warm_up()
    except AdapterError as error:
        # Whoever asks this model is told in words; nobody has asked yet.
        log.warning("a model could not be made ready", extra={"cause": error.code})
