"""What people connected services with: the nearest counts, is renewed once, and stands nowhere but in the vault."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from adapters.messages import ProviderName, ToolSpec
from bot.config import load
from bot.consent import pending_owners
from bot.credentials import ConnectedBy, Connection, Credentials
from bot.ledger_console import erase_texts
from bot.opening import found_ledger, open_ledger, open_vault
from bot.secret import Secret
from bot.vault import KeyOwner, Vault
from integrations.secrets import SealedSecret
from integrations.services import Service, who_at
from integrations.storage.sqlite import SqliteStore
from integrations.tools.base import ReadTool, RefusedCredentials, Toolbox, Unavailable, Use, parameters
from integrations.tools.github import github_tools
from ledger.actions import KeyRemoved
from ledger.entry import HOUSE, Scope
from ledger.pseudonyms import ActorId, Pseudonyms, WorkspaceId
from ledger.roadchain import RoadChain
from tests.fakes.answering_server import answering
from tests.fakes.oauth_server import OAuthServer, running_oauth_server
from tests.github_emulator import use_of
from tests.house import DATABASE, GENESIS

W, ANN, BOB = WorkspaceId("w-1"), ActorId("a-ann"), ActorId("a-bob")
MINE, TEAM = ConnectedBy(W, ANN), ConnectedBy(W)
SCOPE = Scope(W, ANN, HOUSE.conversation, HOUSE.turn)


@dataclass
class Kept:
    store: SqliteStore
    vault: Vault
    credentials: Credentials
    server: OAuthServer

    def another_process(self) -> Credentials:
        return credentials(self.vault, RoadChain(self.store), self.server)

    async def journal(self) -> list[str]:
        return [item.entry.action.name for item in await self.store.entries(0, 1000)]

    async def connect(self, owner: ConnectedBy = MINE, account: str = "ann") -> Connection:
        body = self.server.grant(account)
        refresh, ends_s = Secret(body["refresh_token"]), int(self.server.now_s) + self.server.lasts_s
        connection = Connection("0" * 16, Secret(body["access_token"]), account, refresh, ends_s, True)
        await self.credentials.keep(owner, "mail", connection, SCOPE)
        return connection


def credentials(vault: Vault, roadchain: RoadChain, server: OAuthServer) -> Credentials:
    mail = Service("mail", "Mail", who_at("Mail", server.url, "/me", "login"), oauth=server.app())
    return Credentials(vault, roadchain, {"mail": mail}, lambda: server.now_s)


@asynccontextmanager
async def kept(folder: Path) -> AsyncIterator[Kept]:
    store = await SqliteStore.open(folder / DATABASE)
    try:
        async with RoadChain(store) as roadchain, running_oauth_server() as server:
            await roadchain.append(GENESIS)
            vault = Vault(store, [b"v" * 32])
            yield Kept(store, vault, credentials(vault, roadchain, server), server)
    finally:
        await store.aclose()


async def test_the_person_goes_before_the_workspace_and_others_have_nothing_of_it(tmp_path: Path) -> None:
    async with kept(tmp_path) as here:
        assert await here.credentials.token("github", W, ANN) == ""
        await here.credentials.keep(TEAM, "github", Connection.new(Secret("team-token"), "team"), SCOPE)
        assert await here.credentials.token("github", W, ANN) == "team-token"
        await here.credentials.keep(MINE, "github", Connection.new(Secret("mine-token"), "ann"), SCOPE)
        assert await here.credentials.token("github", W, ANN) == "mine-token"
        assert await here.credentials.token("github", W, BOB) == "team-token"
        assert await here.credentials.token("github", WorkspaceId("w-2"), ANN) == ""
        assert await here.credentials.token("notion", W, ANN) == ""
        assert await here.credentials.connected(W, BOB) == {"github"}
        shown = await here.credentials.shown(W, ANN)
        assert [(item.person, item.account) for item in shown] == [(True, "ann"), (False, "team")]
        dropped = await here.credentials.drop(MINE, "github", SCOPE)
        assert dropped is not None
        assert dropped.token.reveal() == "mine-token"
        assert await here.credentials.drop(MINE, "github", SCOPE) is None
        assert await here.credentials.token("github", W, ANN) == "team-token"
        assert (await here.journal()) == ["key.added", "key.added", "key.removed"]
        for item in await here.store.entries(-1, 1000):
            assert b"-token" not in item.leaf + (item.body or b"")
        assert all(b"-token" not in sealed.sealed for sealed in await here.store.all_secrets())


async def test_one_that_does_not_open_is_said_and_nobody_elses_takes_its_place(tmp_path: Path) -> None:
    async with kept(tmp_path) as here:
        await here.credentials.keep(TEAM, "github", Connection.new(Secret("team-token")), SCOPE)
        async with RoadChain(here.store) as roadchain:
            others = credentials(Vault(here.store, [b"w" * 32]), roadchain, here.server)
            await others.keep(MINE, "github", Connection.new(Secret("mine")), SCOPE)
        with pytest.raises(RefusedCredentials) as raised:
            await here.credentials.token("github", W, ANN)
        assert "/connect github" in raised.value.sentence
        assert next(item.masked for item in await here.credentials.shown(W, ANN)) == ""
        assert await here.credentials.drop(MINE, "github", SCOPE) is not None
        assert await here.credentials.token("github", W, ANN) == "team-token"


async def test_a_token_is_renewed_before_it_ends_and_only_once_for_all_who_wait(tmp_path: Path) -> None:
    async with kept(tmp_path) as here:
        first = await here.connect()
        assert await here.credentials.token("mail", W, ANN) == first.token.reveal()
        assert here.server.asked == []
        here.server.now_s += 3_500
        got = await asyncio.gather(*(here.credentials.token("mail", W, ANN) for _ in range(20)))
        assert len(set(got)) == 1
        assert here.server.account(got[0]) == "ann"
        assert [path for path, _ in here.server.asked] == ["/token"]
        assert (await here.journal()) == ["key.added", "command.run", "key.added"]
        # A second hour: the refresh token that was not given anew is still there.
        here.server.now_s += 3_500
        assert here.server.account(await here.credentials.token("mail", W, ANN)) == "ann"


async def test_where_two_processes_renew_what_is_good_once_both_go_on(tmp_path: Path) -> None:
    async with kept(tmp_path) as here:
        here.server.rotates = True
        await here.connect()
        here.server.now_s += 3_500
        async with RoadChain(here.store) as second:
            other = credentials(here.vault, second, here.server)
            got = await asyncio.gather(
                here.credentials.token("mail", W, ANN), other.token("mail", W, ANN), return_exceptions=True
            )
        assert all(isinstance(token, str) and here.server.account(token) == "ann" for token in got)


async def test_a_service_that_is_away_leaves_a_token_that_is_still_good_and_says_so_afterwards(tmp_path: Path) -> None:
    async with kept(tmp_path) as here:
        first = await here.connect()
        here.server.now_s += 3_500
        here.server.fails = 503
        assert await here.credentials.token("mail", W, ANN) == first.token.reveal()
        here.server.now_s += 200
        with pytest.raises(Unavailable):
            await here.credentials.token("mail", W, ANN)
        here.server.fails = 0
        assert here.server.account(await here.credentials.token("mail", W, ANN)) == "ann"


async def test_a_connection_that_was_taken_back_at_the_service_asks_for_a_new_one(tmp_path: Path) -> None:
    async with kept(tmp_path) as here:
        await here.connect()
        await here.connect(TEAM, "team")
        here.server.refreshes = {name: of for name, of in here.server.refreshes.items() if of != "ann"}
        here.server.now_s += 3_700
        with pytest.raises(RefusedCredentials) as raised:
            await here.credentials.token("mail", W, ANN)
        assert "/connect mail" in raised.value.sentence
        assert here.server.account(await here.credentials.token("mail", W, BOB)) == "team"


async def test_what_an_erased_person_connected_goes_and_the_workspaces_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load({"CARPOOL_HOME": str(tmp_path)}, tmp_path, tmp_path).settings
    assert settings is not None
    async with open_ledger(settings) as (store, keys), RoadChain(store) as roadchain:
        await found_ledger(roadchain, store, keys, settings.origin)
        vault = await open_vault(settings, store)
        known = Pseudonyms(keys.pseudonyms)
        where, who = known.workspace("slack", "T1"), known.actor("slack", "T1", "U1")
        held = Credentials(vault, roadchain, {})
        for number, owner in enumerate((ConnectedBy(where, who), ConnectedBy(where))):
            await held.keep(owner, "github", Connection(str(number), Secret("token")), SCOPE)
        await vault.keep(KeyOwner(where, who), ProviderName("openai"), Secret("key"))
        for pending in pending_owners(keys.pseudonyms, where, who):
            await store.keep_secrets([SealedSecret(pending, "gmail", b"a consent under way")])
    assert await erase_texts(settings, "person", "slack", "T1", ["U1"]) == 0
    assert capsys.readouterr().out.startswith("2 keys and connections of the person's are removed.")
    async with open_ledger(settings) as (store, _):
        assert [sealed.owner for sealed in await store.all_secrets()] == [ConnectedBy(where).text]
        actions = [item.entry.action for item in await store.entries(-1, 100)]
        gone = [(action.kind, action.provider) for action in actions if isinstance(action, KeyRemoved)]
        assert sorted(gone) == [("provider", "openai"), ("service", "github")]


def asks_with(service: str = "mail", name: str = "look") -> ReadTool:
    async def read(use: Use) -> str:
        return f"asked with {use.token or 'none'}"

    return ReadTool(ToolSpec(name, "Looks.", parameters({}), "read"), read, service=service)


def used_by(actor: ActorId, name: str = "look") -> Use:
    return replace(use_of(name, {}), workspace=W, actor=actor)


async def test_a_tool_is_used_with_the_askers_token_which_its_result_never_shows(tmp_path: Path) -> None:
    async with kept(tmp_path) as here:
        await here.connect()
        box = Toolbox({"look": asks_with()}, tokens=here.credentials, unconnected=frozenset({"look"}))
        assert (await box.use(used_by(ANN))).content == "asked with [hidden]"
        failed = await box.use(used_by(BOB))
        assert failed.failed
        assert failed.content == "mail is not connected: the person can do that with `/connect mail`."
        assert [spec.name for spec in await box.offered(W, ANN)] == ["look"]
        assert await box.offered(W, BOB) == ()
        assert "access-" not in repr(replace(used_by(ANN), token="access-1"))


async def test_a_tool_with_credentials_of_the_house_has_them_where_nobody_connected_it(tmp_path: Path) -> None:
    async with kept(tmp_path) as here:
        box = Toolbox({"look": asks_with()}, tokens=here.credentials)
        assert (await box.use(used_by(BOB))).content == "asked with none"
        assert len(await box.offered(W, BOB)) == 1


async def test_github_is_asked_with_a_persons_token_before_the_houses(tmp_path: Path) -> None:
    async with kept(tmp_path) as here, answering() as github:
        github.status, github.body = 404, "{}"
        box = Toolbox(github_tools("house-token", github.url), ("house-token",), tokens=here.credentials)
        await here.credentials.keep(MINE, "github", Connection.new(Secret("anns-token")), SCOPE)
        for actor in (ANN, BOB):
            await box.use(replace(use_of("github_issues", {"repository": "a/b"}), workspace=W, actor=actor))
        assert github.tokens == ["token anns-token", "token house-token"]


async def test_a_connection_goes_on_after_a_restart_with_the_vaults_key_alone(tmp_path: Path) -> None:
    async with kept(tmp_path) as here:
        await here.connect()
        assert await here.another_process().token("mail", W, ANN) == await here.credentials.token("mail", W, ANN)
