"""``carpool keys``: keys for providers of models, of everybody here, of a workspace, or of a person. They print, and give an exit
status; of a key they show no more than its last characters."""

import asyncio
import secrets
import sys
from collections.abc import Sequence

from adapters.messages import ProviderName
from bot.app import key_builder
from bot.commands.keys import KEY_CHARACTERS_MAX, REFUSED, UNCHECKED
from bot.connections import try_key
from bot.console import EXIT_OK, EXIT_USAGE, EXIT_WRONG, complain, say
from bot.keys import Keys, begin_vault_rotation, end_vault_rotation
from bot.opening import found_ledger, ledger_exists, open_ledger, open_vault
from bot.readers import secret
from bot.sentences import ENGLISH
from bot.settings import Settings
from bot.vault import KeyOwner, NotOpened, Vault
from ledger.actions import CommandRun, KeyAdded, KeyRemoved
from ledger.entry import HOUSE, Draft, Scope
from ledger.errors import StoreUnusable
from ledger.pseudonyms import Pseudonyms
from ledger.roadchain import RoadChain

NONE_YET = "There are no keys yet. `carpool keys add PROVIDER` adds one."


def ask(provider: str) -> str:
    """The key, without showing it; or the first line of standard input. Never an argument: those stand in histories."""
    if sys.stdin is not None and sys.stdin.isatty():
        import getpass

        return getpass.getpass(f"Key for {provider} (it is not shown): ").strip()
    return "" if sys.stdin is None else sys.stdin.readline(KEY_CHARACTERS_MAX + 2).strip()


async def add_key(settings: Settings, provider: str, of: Sequence[str], given: str, unchecked: bool) -> int:
    if len(of) not in (0, 2, 3):
        return _which()
    if not given or len(given) > KEY_CHARACTERS_MAX:
        complain(f"A key has from 1 to {KEY_CHARACTERS_MAX:,} characters. Nothing was changed.")
        return EXIT_USAGE
    try:
        key = secret(given)
    except ValueError as error:
        complain(f"That is no key: {error}. Nothing was changed.")
        return EXIT_USAGE
    async with open_ledger(settings) as (store, keys), RoadChain(store) as roadchain:
        await found_ledger(roadchain, store, keys, settings.origin)
        vault = await open_vault(settings, store)
        owner, scope = _owner(keys, of)
        asked = await _asked(roadchain, scope, f"add {provider}")
        verdict = "not asked" if unchecked else await try_key(key_builder(settings), ProviderName(provider), key)
        if verdict == "refused":
            complain(ENGLISH(REFUSED, provider))
            return EXIT_WRONG
        await vault.keep(owner, ProviderName(provider), key)
        await roadchain.append(Draft(KeyAdded("provider", "", provider), scope, f"key.added/{asked}"))
    say(f"The key {key.masked} for {provider} is kept, sealed. {_reach(of)}")
    if verdict == "not asked" and not unchecked:
        say(ENGLISH(UNCHECKED, provider))
    return EXIT_OK


async def remove_key(settings: Settings, provider: str, of: Sequence[str]) -> int:
    if len(of) not in (0, 2, 3):
        return _which()
    if not await ledger_exists(settings):
        complain(NONE_YET)
        return EXIT_WRONG
    async with open_ledger(settings) as (store, keys), RoadChain(store) as roadchain:
        vault = await open_vault(settings, store)
        owner, scope = _owner(keys, of)
        asked = await _asked(roadchain, scope, f"remove {provider}")
        if not await vault.drop(owner, ProviderName(provider)):
            complain(f"There is no such key for {provider}: `carpool keys list` shows what there is.")
            return EXIT_WRONG
        await roadchain.append(Draft(KeyRemoved("provider", "", provider), scope, f"key.removed/{asked}"))
    say(f"The key for {provider} is removed. It is still good at {provider}: revoke it there if it must not be.")
    return EXIT_OK


async def list_keys(settings: Settings) -> int:
    """A line a key: whose (workspace and person by their pseudonyms), for which provider, and its last characters."""
    if not await ledger_exists(settings):
        complain(NONE_YET)
        return EXIT_OK
    async with open_ledger(settings) as (store, _):
        kept = await store.all_secrets()
        if not kept:
            complain(NONE_YET)
            return EXIT_OK
        vault = await open_vault(settings, store)
        status = EXIT_OK
        for item in kept:
            try:
                shown = vault.opened(item).masked
            except NotOpened:
                shown, status = "cannot be opened with the vault's key that is here", EXIT_WRONG
            say(f"{item.owner:<44}  {item.name:<12}  {shown}")
    return status


async def rotate_vault(settings: Settings) -> int:
    """Where the vault's key stands in a setting, seal anew under the first of the two; else make a new one in the file."""
    if not await ledger_exists(settings):
        complain("There are no keys yet: nothing to seal anew.")
        return EXIT_USAGE
    async with open_ledger(settings) as (store, _), RoadChain(store) as roadchain:
        await open_vault(settings, store)
        own = settings.vault_keys
        keys = own or await asyncio.to_thread(begin_vault_rotation, settings.home)
        if len(keys) < 2:
            complain("Put the new key in front in CARPOOL_VAULT_KEY, the one before behind a comma, and rotate again.")
            return EXIT_USAGE
        await _asked(roadchain, HOUSE, "rotate")
        try:
            count = await Vault(store, keys).reseal()
        except NotOpened as error:
            raise StoreUnusable(str(error), error.remedy) from error
        if not own:
            await asyncio.to_thread(end_vault_rotation, settings.home)
    say(
        f"{count:,} keys are sealed anew. "
        + ("Take the old key out of CARPOOL_VAULT_KEY." if own else "The old key is gone.")
    )
    return EXIT_OK


def _owner(keys: Keys, of: Sequence[str]) -> tuple[KeyOwner, Scope]:
    if not of:
        return KeyOwner(), HOUSE
    known = Pseudonyms(keys.pseudonyms)
    platform, workspace, *person = of
    where = known.workspace(platform, workspace)
    actor = known.actor(platform, workspace, person[0]) if person else None
    return KeyOwner(where, actor), Scope(where, actor or HOUSE.actor, HOUSE.conversation, HOUSE.turn)


async def _asked(roadchain: RoadChain, scope: Scope, what: str) -> str:
    """The intent is on disk before anything is changed. Returns what names it."""
    asked = secrets.token_hex(8)
    await roadchain.append(Draft(CommandRun("keys"), scope, f"keys/{asked}", what.encode()))
    return asked


def _which() -> int:
    complain("--of takes a platform, a workspace, and where it is one person's key that person's id.")
    return EXIT_USAGE


def _reach(of: Sequence[str]) -> str:
    whose = {0: "Everybody who uses this CarPool", 2: "Everybody in that workspace", 3: "That person alone"}
    return f"{whose[len(of)]} is answered with it where no nearer key is there."
