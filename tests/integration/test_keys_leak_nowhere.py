"""A key that a person brought stands nowhere but in the vault, whatever goes wrong with the call that carries it."""

import io
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import cast

import pytest

from adapters.base import BaseAdapter
from adapters.messages import Finished, ProviderName, TextDelta
from adapters.scripted import ScriptedAdapter
from bot.connections import Build, Built
from bot.limits import Limits
from bot.logs import JsonLines
from bot.secret import Secret
from bot.vault import KeyOwner, Vault
from integrations.storage.sqlite import SqliteStore
from tests.contract.adapters.dialects import HOSTED, Hosted, HostedName, hosted
from tests.contract.adapters.raw_server import http, running_raw_server
from tests.house import ME, PSEUDONYMS, RecordingPlatform, asks, card, running_house

KEY = "sk-crimson-0123456789abcdefghij"
PIECE = "crimson"
OWNER = KeyOwner(
    PSEUDONYMS.workspace(ME.platform, ME.workspace), PSEUDONYMS.actor(ME.platform, ME.workspace, ME.person)
)
FAILURES = ("401", "403", "429", "500", "garbage", "cut", "silent", "in the stream", "unreachable")
"""Each server writes back the key that it was given, wherever it can."""
SHORT = Limits(first_token_s=1, between_tokens_s=1, turn_s=5, connect_s=1)


def reply_of(failure: str, one: Hosted) -> bytes:
    match failure:
        case "401" | "403" | "429" | "500":
            return one.dialect.error(int(failure), {}, "Incorrect API key provided: {key}")
        case "garbage":
            return http(200, b"<html>{key}</html>", content_type="text/html")
        case "cut":
            return one.dialect.text("Half", end=None)
        case "in the stream":
            return one.dialect.failed_on_the_way()
        case _:
            return b""


@asynccontextmanager
async def failing(failure: str, one: Hosted) -> AsyncIterator[BaseAdapter]:
    if failure == "unreachable":
        yield one.build("http://127.0.0.1:1")
        return
    async with running_raw_server(reply_of(failure, one), holds=failure == "silent") as server:
        yield one.build(server.url)


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Everything that anybody logs, as the house writes it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield written
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


async def everywhere(folder: Path, adapter: BaseAdapter, capfd: pytest.CaptureFixture[str]) -> dict[str, bytes]:
    """All that is left behind by a question that was asked with the key, and by the questions about it."""
    platform = RecordingPlatform(live=True)

    def brought(store: SqliteStore) -> tuple[Vault, Build]:
        def build(provider: ProviderName, key: Secret) -> Built | None:
            assert key.reveal() == KEY
            return adapter, (card(str(adapter.provider), 99),)

        return Vault(store, [b"v" * 32]), build

    with logged() as log:
        async with running_house(folder, platform, {}, cards=[], brought=brought, limits=SHORT) as open_:
            await Vault(open_.store, [b"v" * 32]).keep(OWNER, adapter.provider, Secret(KEY))
            for number, text in enumerate(("hello", "/why", "/receipt", "/model", "/history")):
                await open_.ask(asks(text, str(number)))
            entries = b"".join(item.leaf + (item.body or b"") for item in await open_.all())
    left = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    printed = capfd.readouterr()
    shown = "".join(screen.seen for screen in platform.screens.values())
    return left | {
        "entries": entries,
        "log": log.getvalue().encode(),
        "printed": (printed.out + printed.err).encode(),
        "chat": ("\n".join(platform.texts) + shown).encode(),
    }


@pytest.mark.parametrize("name", HOSTED)
@pytest.mark.parametrize("failure", FAILURES)
async def test_a_call_that_fails_leaves_nothing_of_its_key(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, failure: str
) -> None:
    one = hosted(cast(HostedName, name), KEY, connect_s=1.0)
    async with failing(failure, one) as adapter:
        try:
            left = await everywhere(tmp_path, adapter, capfd)
        finally:
            await adapter.aclose()
    assert b"No answer" in left["chat"] or b"breaks off" in left["chat"]
    assert [place for place, found in left.items() if PIECE.encode() in found] == []


async def test_what_does_leak_is_found(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The control: a model that says its key leaves it in the chat, in the entries' texts and in the file."""
    said = (TextDelta(f"My key is {KEY}"), Finished("stop", None))
    left = await everywhere(tmp_path, ScriptedAdapter(ProviderName("openai"), (said,)), capfd)
    found = [place for place, content in left.items() if PIECE.encode() in content]
    assert {"chat", "entries"} < set(found)
    assert any("roadchain.db" in place for place in found)
