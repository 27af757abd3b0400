"""Whose key answers: the nearest that was brought, and the house's own where none was."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.base import BaseAdapter
from adapters.errors import RefusedKey
from adapters.messages import ProviderName
from adapters.scripted import Raise, ScriptedAdapter, ScriptReply, answer
from bot.connections import Build, Built
from bot.lucidia.catalog import ModelCard
from bot.platforms.base import Address, Filled, Standing
from bot.secret import Secret
from bot.vault import KeyOwner, Vault
from integrations.storage.sqlite import SqliteStore
from ledger.actions import KeyAdded, ModelCalled
from tests.house import ME, PSEUDONYMS, Open, RecordingPlatform, asks, card, running_house

OPENAI = ProviderName("openai")
BOB = replace(ME, person="bob")
ELSEWHERE = replace(ME, workspace="another")


class Checking(ScriptedAdapter):
    def __init__(self, provider: ProviderName, script: tuple[ScriptReply, ...], refused: bool) -> None:
        super().__init__(provider, script)
        self._refuses = refused

    async def check(self) -> None:
        if self._refuses:
            raise RefusedKey("x")


class Makers:
    """Makes an adapter that says with which key it was made; a few answers of each."""

    def __init__(self, refused: tuple[str, ...] = (), *, checks: bool = False) -> None:
        self.made: list[str] = []
        self.checks = checks
        self.refused = refused

    def build(self, provider: ProviderName, key: Secret) -> Built | None:
        if provider != OPENAI:
            return None
        self.made.append(key.reveal())
        refused = key.reveal() in self.refused
        reply: ScriptReply = (Raise(RefusedKey("x")),) if refused else answer(f"with {key.reveal()}")
        adapter: BaseAdapter = (
            Checking(provider, (reply,) * 9, refused) if self.checks else ScriptedAdapter(provider, (reply,) * 9)
        )
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
    assert "- nobody, for you alone, …\n" in platform.texts[1]


async def test_keys_are_told_to_their_owners_alone_and_never_shown(tmp_path: Path) -> None:
    async with house(tmp_path, Makers()) as (open_, vault, platform):
        await vault.keep(owner(ME, person=True), OPENAI, Secret("sk-mine-crimson-0123456789"))
        for event, who in enumerate((ME, BOB)):
            await open_.ask(asks("/keys", str(event), who))
        assert all(b"crimson" not in (item.body or b"") + item.leaf for item in await open_.all())
    mine, bobs = platform.texts
    assert "openai, for you alone, …6789" in mine
    assert "openai" not in bobs
    assert "crimson" not in mine + bobs
    assert all(reply.private for _, _, reply in platform.sent)


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("/keys add openai sk-violet", False),
        ("!keys sk-violet", False),
        ("keys add openai sk-violet", True),
        ("keys remove sk-violet", True),
        ("/keys add  openai\nsk-violet", False),
    ],
)
async def test_a_key_that_is_written_into_a_message_is_not_recorded_and_its_writer_is_told(
    tmp_path: Path, text: str, bare: bool
) -> None:
    async with house(tmp_path, Makers()) as (open_, _, platform):
        await open_.ask(asks(text, "1", ME, bare=bare))
        assert all(b"violet" not in (item.body or b"") + item.leaf for item in await open_.all())
    (written,) = platform.texts
    assert "revoke it at its provider" in written
    assert "violet" not in written


def filled(event: str, standing: Standing = "member", **values: str) -> Filled:
    return Filled(ME, event, standing, "keys", {"provider": "openai", "whose": "mine", "key": "sk-violet", **values})


async def test_a_key_comes_in_by_a_form_answers_at_once_and_stands_nowhere_but_in_the_vault(tmp_path: Path) -> None:
    async with house(tmp_path, Makers()) as (open_, vault, platform):
        form = await open_.door.form(ME, "member", "/keys add openai")
        assert form is not None
        assert {field.name: field.kind for field in form.fields}["key"] == "secret"
        assert [choice.value for choice in form.fields[2].choices] == ["mine"]
        taken = await open_.door.fill(filled("f1"))
        assert "violet" not in taken.text
        await open_.ask(asks("hello", "1", ME))
        await open_.ask(asks("hello", "2", BOB))
        assert platform.texts == ["with sk-violet", "with none"]
        entries = await open_.all()
        assert all(b"violet" not in item.leaf for item in entries)
        said = [item.entry.seq for item in entries if item.body is not None and b"violet" in item.body]
        answers = [item.entry.seq for item in entries if item.entry.action.name in ("model.answered", "reply.prepared")]
        assert set(said) <= set(answers)  # the model of this test says its key
        assert [item.entry.action for item in entries if isinstance(item.entry.action, KeyAdded)] == [
            KeyAdded("provider", "", "openai")
        ]
        assert [held.key.reveal() for held in await vault.held(owner(ME, person=True))] == ["sk-violet"]
        await open_.ask(asks("/keys remove openai", "3", ME))
        await open_.ask(asks("/keys remove openai", "4", ME))
        assert "is removed" in platform.texts[-2]
        assert "There is no such key" in platform.texts[-1]
        assert await vault.held(owner(ME, person=True)) == ()


async def test_only_an_admin_brings_a_key_for_everybody_in_the_workspace(tmp_path: Path) -> None:
    async with house(tmp_path, Makers()) as (open_, vault, platform):
        assert (await open_.door.fill(filled("f1", whose="workspace"))).text.startswith("Only an admin")
        assert await vault.held(owner(ME, person=False)) == ()
        await open_.door.fill(filled("f2", "admin", whose="workspace"))
        await open_.ask(asks("hello", "1", BOB))
        assert platform.texts == ["with sk-violet"]
        await open_.ask(asks("/keys remove openai workspace", "2", BOB))
        assert platform.texts[-1].startswith("Only an admin")
        assert await open_.door.form(ME, "guest", "/keys add") is None


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"key": ""}, "key"),
        ({"key": "two words"}, "key"),
        ({"key": "x" * 5000}, "key"),
        ({"provider": "nobody"}, "provider"),
    ],
)
async def test_what_is_no_key_is_said_by_field_and_not_kept(tmp_path: Path, values: dict[str, str], field: str) -> None:
    async with house(tmp_path, Makers()) as (open_, vault, _):
        taken = await open_.door.fill(filled("f1", "member", **values))
        assert set(taken.errors) == {field}
        assert await vault.held(owner(ME, person=True)) == ()


async def test_a_vault_that_another_process_gave_a_new_key_goes_on_with_it(tmp_path: Path) -> None:
    async with house(tmp_path, Makers()) as (open_, _, _):
        keys = [b"1" * 32]
        here = Vault(open_.store, keys, lambda: keys)
        me, them = owner(ME, person=True), owner(BOB, person=True)
        await here.keep(me, OPENAI, Secret("first"))
        keys[:] = [b"2" * 32, b"1" * 32]
        await Vault(open_.store, keys).reseal()
        keys[:] = [b"2" * 32]
        assert [held.key.reveal() for held in await here.held(me)] == ["first"]
        await here.keep(them, OPENAI, Secret("second"))
        assert [held.key.reveal() for held in await Vault(open_.store, keys).held(them)] == ["second"]


async def test_a_key_is_tried_at_once_and_one_that_is_refused_is_not_kept(tmp_path: Path) -> None:
    async with house(tmp_path, Makers(("sk-bad",), checks=True)) as (open_, vault, _):
        taken = await open_.door.fill(filled("f1", "member", key="sk-bad"))
        assert taken.errors == {"key": "openai refuses this key, so it was not kept."}
        assert await vault.held(owner(ME, person=True)) == ()
        assert "could not be asked" not in (await open_.door.fill(filled("f2"))).text


async def test_a_key_whose_provider_cannot_be_asked_is_kept_and_that_is_said(tmp_path: Path) -> None:
    async with house(tmp_path, Makers()) as (open_, vault, _):
        assert "could not be asked just now" in (await open_.door.fill(filled("f1"))).text
        assert len(await vault.held(owner(ME, person=True))) == 1
