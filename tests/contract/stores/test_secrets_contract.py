"""What each store promises of sealed secrets."""

from integrations.secrets import SealedSecret
from tests.stores import AnyStore, Opens

ANNA, BOB = "house/w/anna", "house/w/bob"


def sealed(owner: str, name: str, data: bytes = b"sealed") -> SealedSecret:
    return SealedSecret(owner, name, data)


async def test_what_was_kept_is_there_for_its_owners_and_after_a_restart(opened: Opens) -> None:
    first = await opened()
    await first.keep_secrets([sealed(BOB, "openai"), sealed(ANNA, "xai"), sealed(ANNA, "openai", b"\x00\xff")])
    second = await opened()
    assert await second.secrets([ANNA]) == (sealed(ANNA, "openai", b"\x00\xff"), sealed(ANNA, "xai"))
    assert await second.secrets([BOB, ANNA, "nobody"]) == await second.all_secrets()
    assert await second.secrets([]) == ()


async def test_a_secret_of_the_same_name_takes_the_place_of_the_one_before(store: AnyStore) -> None:
    await store.keep_secrets([sealed(ANNA, "openai", b"old")])
    await store.keep_secrets([sealed(ANNA, "openai", b"new")])
    assert await store.all_secrets() == (sealed(ANNA, "openai", b"new"),)


async def test_what_was_dropped_is_gone_and_nothing_else(store: AnyStore) -> None:
    await store.keep_secrets([sealed(ANNA, "openai"), sealed(ANNA, "xai"), sealed(BOB, "openai")])
    assert await store.drop_secret(ANNA, "openai")
    assert not await store.drop_secret(ANNA, "openai")
    assert await store.all_secrets() == (sealed(ANNA, "xai"), sealed(BOB, "openai"))


async def test_a_replay_leaves_secrets_alone(store: AnyStore) -> None:
    await store.keep_secrets([sealed(ANNA, "openai")])
    await store.replay()
    assert await store.all_secrets() == (sealed(ANNA, "openai"),)


async def test_secrets_do_not_show_themselves(store: AnyStore) -> None:
    await store.keep_secrets([sealed(ANNA, "openai", b"crimson")])
    assert "crimson" not in repr(await store.all_secrets())
