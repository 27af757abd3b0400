"""The vault: a key opens for its owner and its provider, under the vault's key, and in no other way."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.messages import ProviderName
from bot.secret import Secret
from bot.vault import HeldKey, KeyOwner, NotOpened, Vault
from integrations.secrets import SealedSecret
from integrations.storage.sqlite import SqliteStore
from ledger.pseudonyms import ActorId, WorkspaceId

OPENAI, XAI = ProviderName("openai"), ProviderName("xai")
HOUSE = KeyOwner()
TEAM = KeyOwner(WorkspaceId("w-1"))
ANNA = KeyOwner(WorkspaceId("w-1"), ActorId("a-1"))
ONE, TWO = b"1" * 32, b"2" * 32


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "ledger.db")
    yield store
    await store.aclose()


async def test_a_key_is_there_for_its_owner_the_nearest_owner_first(store: SqliteStore) -> None:
    vault = Vault(store, [ONE])
    await vault.keep(TEAM, OPENAI, Secret("sk-team"))
    await vault.keep(ANNA, XAI, Secret("xai-anna"))
    await vault.keep(ANNA, OPENAI, Secret("sk-anna"))
    assert await vault.held(ANNA, TEAM, HOUSE) == (
        HeldKey("house/w-1/a-1", OPENAI, Secret("sk-anna")),
        HeldKey("house/w-1/a-1", XAI, Secret("xai-anna")),
        HeldKey("house/w-1", OPENAI, Secret("sk-team")),
    )
    assert await vault.held(KeyOwner(WorkspaceId("w-2"))) == ()


async def test_what_is_stored_holds_nothing_of_the_key_and_is_never_twice_the_same(store: SqliteStore) -> None:
    vault = Vault(store, [ONE])
    seen = set()
    for _ in range(3):
        await vault.keep(ANNA, OPENAI, Secret("sk-anna"))
        (sealed,) = await store.all_secrets()
        assert b"anna" not in sealed.sealed
        seen.add(sealed.sealed)
    assert len(seen) == 3


@pytest.mark.parametrize(("owner", "name"), [(TEAM.text, "openai"), (ANNA.text, "xai")])
async def test_a_key_that_was_moved_does_not_open(store: SqliteStore, owner: str, name: str) -> None:
    vault = Vault(store, [ONE])
    await vault.keep(ANNA, OPENAI, Secret("sk-anna"))
    (sealed,) = await store.all_secrets()
    await store.drop_secret(sealed.owner, sealed.name)
    await store.keep_secrets([SealedSecret(owner, name, sealed.sealed)])
    with pytest.raises(NotOpened):
        await vault.held(ANNA, TEAM)


async def test_each_changed_bit_and_each_cut_is_found(store: SqliteStore) -> None:
    vault = Vault(store, [ONE])
    await vault.keep(ANNA, OPENAI, Secret("sk-anna"))
    (sealed,) = await store.all_secrets()
    data = sealed.sealed
    flipped = [
        data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
        for place in range(len(data))
        for bit in range(8)
    ]
    for changed in (*flipped, *(data[:length] for length in range(len(data)))):
        await store.keep_secrets([replace(sealed, sealed=changed)])
        with pytest.raises(NotOpened):
            await vault.held(ANNA)


async def test_under_another_vault_key_nothing_opens_and_the_error_says_what_to_do(store: SqliteStore) -> None:
    await Vault(store, [ONE]).keep(ANNA, OPENAI, Secret("sk-anna"))
    with pytest.raises(NotOpened) as caught:
        await Vault(store, [TWO]).held(ANNA)
    assert "put back the vault's key" in caught.value.remedy
    assert "sk-anna" not in f"{caught.value!r}{caught.value.remedy}"


async def test_after_a_rotation_the_new_key_opens_all_and_the_old_one_nothing(store: SqliteStore) -> None:
    await Vault(store, [ONE]).keep(ANNA, OPENAI, Secret("sk-anna"))
    await Vault(store, [ONE]).keep(TEAM, XAI, Secret("xai-team"))
    both = Vault(store, [TWO, ONE])
    assert len(await both.held(ANNA, TEAM)) == 2
    assert await both.reseal() == 2
    assert await both.reseal() == 0
    assert [held.key.reveal() for held in await Vault(store, [TWO]).held(ANNA, TEAM)] == ["sk-anna", "xai-team"]
    with pytest.raises(NotOpened):
        await Vault(store, [ONE]).held(ANNA)


async def test_a_dropped_key_is_gone(store: SqliteStore) -> None:
    vault = Vault(store, [ONE])
    await vault.keep(ANNA, OPENAI, Secret("sk-anna"))
    assert await vault.drop(ANNA, OPENAI)
    assert not await vault.drop(ANNA, OPENAI)
    assert await vault.held(ANNA) == ()


@pytest.mark.parametrize("keys", [[], [b"short"], [ONE, b"x" * 33]], ids=str)
def test_a_vault_key_has_32_bytes(store: SqliteStore, keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Vault(store, keys)
