"""Whose key answers: what a person, their workspace or the house brought, beside what the settings connect.

Nearest first: a person's own key goes before the workspace's, that before the one kept for everybody here, and that before the
settings'.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from adapters.base import BaseAdapter
from adapters.errors import AdapterError, RefusedKey
from adapters.messages import ProviderName
from bot.lucidia.catalog import Catalog, ModelCard
from bot.secret import Secret
from bot.vault import KeyOwner, NotOpened, Vault
from integrations.secrets import SealedSecret
from ledger.entry import Scope

Built: TypeAlias = tuple[BaseAdapter, tuple[ModelCard, ...]]
Build: TypeAlias = Callable[[ProviderName, Secret], Built | None]

log = logging.getLogger("carpool.connections")


@dataclass(frozen=True, slots=True)
class Connected:
    """The models that may answer somebody, and the adapters behind them. ``owners``: whose key it is, where it was brought."""

    adapters: Mapping[ProviderName, BaseAdapter]
    catalog: Catalog
    owners: Mapping[ProviderName, str] = field(default_factory=dict)

    @property
    def own(self) -> frozenset[ProviderName]:
        """Those whose key the workspace or a person of it brought: they pay these themselves."""
        return frozenset(provider for provider, owner in self.owners.items() if owner != KeyOwner().text)


Verdict: TypeAlias = Literal["taken", "refused", "not asked"]
CHECK_S = 10.0
"""How long a provider may take to say whether it takes a key."""


async def try_key(build: Build, provider: ProviderName, key: Secret) -> Verdict:
    """Whether the provider takes the key, as far as it can be asked now. The key is kept nowhere by this."""
    built = build(provider, key)
    return "not asked" if built is None else await try_adapter(built[0])


async def try_adapter(adapter: BaseAdapter) -> Verdict:
    """The same of an adapter that has its key already, which is closed by this."""
    try:
        async with asyncio.timeout(CHECK_S):
            await adapter.check()
    except RefusedKey:
        return "refused"
    except (AdapterError, TimeoutError) as error:
        log.info("a key could not be checked", extra={"cause": getattr(error, "code", "timed_out")})
        return "not asked"
    finally:
        await adapter.aclose()
    return "taken"


@dataclass(frozen=True, slots=True)
class KeyShown:
    """A key as its owner may see it. ``owner`` is the text of a ``KeyOwner``; ``masked`` is empty where it does not open."""

    owner: str
    provider: str
    masked: str


@dataclass(frozen=True, slots=True)
class Connections:
    """``house`` is what the settings connect. ``build`` makes an adapter with a key, and says which models it has; None where
    there is no such adapter."""

    house: Connected
    vault: Vault | None = None
    build: Build = lambda provider, key: None
    _built: dict[tuple[ProviderName, bytes], Built] = field(default_factory=dict)

    async def of(self, scope: Scope) -> Connected:
        """What answers this person here. Raises ``StoreFailed``."""
        if self.vault is None:
            return self.house
        owners: dict[ProviderName, str] = {}
        adapters, cards = dict(self.house.adapters), {card.label: card for card in self.house.catalog.cards}
        for sealed in reversed(await self.vault.sealed(*_owners(scope))):  # the nearest last, in place of the others
            if (built := self._with(sealed, self.vault)) is not None:
                adapter, listed = built
                adapters[adapter.provider] = adapter
                owners[adapter.provider] = sealed.owner
                cards.update({card.label: card for card in listed})
        if len(cards) == len(self.house.catalog.cards):
            return Connected(adapters, self.house.catalog, owners)
        return Connected(adapters, Catalog.of(cards.values()), owners)

    async def shown(self, scope: Scope) -> tuple[KeyShown, ...]:
        """Which keys answer this person, the nearest first. Raises ``StoreFailed``."""
        if self.vault is None:
            return ()
        shown: list[KeyShown] = []
        for sealed in await self.vault.sealed(*_owners(scope)):
            try:
                masked = self.vault.opened(sealed).masked
            except NotOpened:
                masked = ""
            shown.append(KeyShown(sealed.owner, sealed.name, masked))
        return tuple(shown)

    async def aclose(self) -> None:
        """Let go of what was built for keys that were brought."""
        await asyncio.gather(*(adapter.aclose() for adapter, _ in self._built.values()), return_exceptions=True)

    def _with(self, sealed: SealedSecret, vault: Vault) -> Built | None:
        """One adapter for a provider and a key, so that its connections are used again."""
        provider = ProviderName(sealed.name)
        try:
            key = vault.opened(sealed)
        except NotOpened as error:
            log.warning("a key that was brought does not open", extra={"cause": str(error)})
            return None
        name = provider, hashlib.sha256(key.reveal().encode()).digest()
        if name not in self._built:
            built = self.build(provider, key)
            if built is None:
                return None
            self._built[name] = built
        return self._built[name]


def _owners(scope: Scope) -> tuple[KeyOwner, KeyOwner, KeyOwner]:
    return KeyOwner(scope.workspace, scope.actor), KeyOwner(scope.workspace), KeyOwner()
