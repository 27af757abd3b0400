"""Whose key answers: the nearest that was brought, and the house's own where none was."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from adapters.base import BaseAdapter
from adapters.errors import RefusedKey
from adapters.messages import ProviderName
from adapters.scripted import Raise, ScriptedAdapter, ScriptReply, answer
from bot.connections import Build, Built
from bot.lucidia.catalog import ModelCard
from bot.platforms.base import Address
from bot.secret import Secret
from bot.vault import KeyOwner, Vault
from integrations.storage.sqlite import SqliteStore
from ledger.actions import ModelCalled
from tests.house import ME, PSEUDONYMS, Open, RecordingPlatform, asks, card, running_house

OPENAI = ProviderName("openai")
BOB = replace(ME, person="bob")
ELSEWHERE = replace(ME, workspace="another")


class Makers:
    """Makes an adapter that says with which key it was made; a few answers of each."""

    def __init__(self, refused: tuple[str, ...] = ()) -> None:
        self.made: list[str] = []
        self.refused = refused

    def build(self, provider: ProviderName, key: Secret) -> Built | None:
        if provider != OPENAI:
            return None
        self.made.append(key.reveal())
        refused = key.reveal() in self.refused
        reply: ScriptReply = (Raise(RefusedKey("x")),) if refused else answer(f"with {key.reveal()}")
        adapter: BaseAdapter = ScriptedAdapter(provider, (reply,) * 9)
        cards: tuple[ModelCard, ...] = (card("openai", 99),)
        return adapter, cards


@asynccontextmanager
async def house(folder: Path, makers: Makers) -> AsyncIterator[tuple[Open, Vault, RecordingPlatform]]:
    platform, vaults = RecordingPlatform(), list[Vault]()

    def brought(store: SqliteStore) -> tuple[Vault, Build]:
        vaults.append(Vault(store, [b"v" * 32]))
        return vaults[0], makers.build

    async with running_house(folder, platform, [answer("with none")] * 9, brought=brought) as open_:
        yield open_, vaults[0], platform


def owner(address: Address, *, person: bool) -> KeyOwner:
    of = (str(address.platform), address.workspace)
    return KeyOwner(PSEUDONYMS.workspace(*of), PSEUDONYMS.actor(*of, address.person) if person else None)


async def test_the_nearest_key_answers_and_the_house_where_nobody_brought_one(tmp_path: Path) -> None:
    makers = Makers()
    async with house(tmp_path, makers) as (open_, vault, platform):
        await open_.ask(asks("hello", "1", ME))
        await vault.keep(owner(ME, person=False), OPENAI, Secret("team"))
        await open_.ask(asks("hello", "2", ME))
        await vault.keep(owner(ME, person=True), OPENAI, Secret("mine"))
        await open_.ask(asks("hello", "3", ME))
        await open_.ask(asks("hello", "4", BOB))
        await open_.ask(asks("hello", "5", ELSEWHERE))
        await vault.drop(owner(ME, person=True), OPENAI)
        await open_.ask(asks("hello", "6", ME))
    assert platform.texts == ["with none", "with team", "with mine", "with team", "with none", "with team"]
    # Of each key one adapter, whose connections are used again.
    assert makers.made == ["team", "mine"]


async def test_a_key_of_one_persons_that_is_refused_leaves_the_model_aside_for_them_alone(tmp_path: Path) -> None:
    makers = Makers(refused=("mine",))
    async with house(tmp_path, makers) as (open_, vault, platform):
        await vault.keep(owner(ME, person=False), OPENAI, Secret("team"))
        await vault.keep(owner(ME, person=True), OPENAI, Secret("mine"))
        turns = [(await open_.ask(asks("hello", str(event), who)))[0] for event, who in enumerate((ME, ME, BOB))]
        called = [
            [
                (recorded.entry.action.provider, recorded.entry.action.key)
                for recorded in await open_.store.entries_of(turn)
                if isinstance(recorded.entry.action, ModelCalled)
            ]
            for turn in turns
        ]
    mine, team = owner(ME, person=True).text, owner(ME, person=False).text
    # The second time the model with the refused key stands behind the other.
    assert called == [[("openai", mine), ("scripted", "")], [("scripted", "")], [("openai", team)]]
    assert platform.texts == ["with none", "with none", "with team"]


async def test_a_key_that_does_not_open_or_has_no_adapter_is_passed_over(tmp_path: Path) -> None:
    async with house(tmp_path, Makers()) as (open_, vault, platform):
        await vault.keep(owner(ME, person=True), ProviderName("nobody"), Secret("mine"))
        await Vault(open_.store, [b"w" * 32]).keep(owner(ME, person=True), OPENAI, Secret("under another vault's key"))
        await open_.ask(asks("hello", "1", ME))
        await open_.ask(asks("/keys", "2", ME))
    assert platform.texts[0] == "with none"
    assert "- openai, for you alone: it cannot be opened" in platform.texts[1]
    assert "- nobody, for you alone\n" in platform.texts[1]


async def test_keys_are_told_to_their_owners_alone_and_never_shown(tmp_path: Path) -> None:
    async with house(tmp_path, Makers()) as (open_, vault, platform):
        await vault.keep(owner(ME, person=True), OPENAI, Secret("sk-mine-crimson-0123456789"))
        for event, who in enumerate((ME, BOB)):
            await open_.ask(asks("/keys", str(event), who))
        await open_.ask(asks("/keys add openai sk-violet", "3", ME))
        assert all(b"crimson" not in (item.body or b"") + item.leaf for item in await open_.all())
    mine, bobs, written = platform.texts
    assert "openai, for you alone" in mine
    assert "openai" not in bobs
    assert "revoke it at its provider" in written
    assert "crimson" not in mine + bobs + written
