"""`/connect` and `/disconnect`: a token goes into a form, or a person agrees at the service; the ledger has neither.

Nobody can agree for another. The service is a server of our own that is strict where emulators are not.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import ClientSession
from yarl import URL

from bot.config import load
from bot.consent import CALLBACK_PATH, Consent, pending_owners
from bot.consent_page import come_back_page
from bot.credentials import Credentials
from bot.doctor import Finding, examine
from bot.http.connect import ConnectDoor
from bot.http.ingress import serve, web_app
from bot.loopback import Loopback
from bot.platforms.base import Address, Filled, PlatformName, Standing
from bot.sentences import ENGLISH, Sentences
from bot.services import Services
from bot.vault import Vault
from integrations.services import Service, who_at
from integrations.storage.sqlite import SqliteStore
from integrations.tools.base import NotAllowed, RateLimited
from ledger.actions import CommandRun, KeyAdded, KeyRemoved
from ledger.roadchain import RoadChain
from tests.bracketed import BRACKETED, unsaid, unsaid_of_page
from tests.fakes.answering_server import answering
from tests.fakes.oauth_server import OAuthServer, running_oauth_server
from tests.fakes.ways import ToThe
from tests.house import ME, PSEUDONYMS, Open, RecordingPlatform, asks, running_house

BACK = "https://carpool.example/connect/callback"
BOB = replace(ME, person="bob")
ELSEWHERE = replace(ME, workspace="another")
HERE = replace(ME, platform=PlatformName("terminal"))
KEY = b"house" * 8


class AtTerminal(RecordingPlatform):
    @property
    def name(self) -> PlatformName:
        return HERE.platform


@dataclass
class Connecting:
    house: Open
    platform: RecordingPlatform
    server: OAuthServer
    services: Services
    vault: Vault
    events: int = 0

    async def say(self, text: str, who: Address = ME, standing: Standing = "member") -> str:
        self.events += 1
        await self.house.ask(replace(asks(text, f"e{self.events}", who), standing=standing))
        return self.platform.texts[-1]

    async def fill(self, standing: Standing = "member", **values: str) -> tuple[str, dict[str, str]]:
        self.events += 1
        given = {"service": "notion", "token": "access-1-ann", "whose": "mine", **values}
        taken = await self.house.door.fill(Filled(ME, f"f{self.events}", standing, "connect", given))
        return taken.text, dict(taken.errors)

    async def link(
        self, who: Address = ME, text: str = "/connect gmail", standing: Standing = "member"
    ) -> dict[str, str]:
        """What stands in the link that somebody gets."""
        said = await self.say(text, who, standing)
        found = re.search(r"\]\((\S+)\)", said)
        assert found is not None, said
        return dict(parse_qsl(urlsplit(found[1]).query))

    async def back(self, query: dict[str, str], account: str = "ann", **other: str) -> tuple[int, str]:
        """Somebody agrees as ``account``, and is sent back. Gives the status, and what the page says to type."""
        given = {"code": self.server.consent(query, account), "state": query["state"], **other}
        status, page = await come_back_page(self.services.consent, given, query["redirect_uri"])
        found = re.search(r"<code>([^<]+)</code>", page)
        return status, found[1] if found else page

    async def token(self, who: Address = ME, service: str = "gmail") -> str:
        workspace = PSEUDONYMS.workspace(who.platform, who.workspace)
        actor = PSEUDONYMS.actor(who.platform, who.workspace, who.person)
        return await self.services.credentials.token(service, workspace, actor)

    async def changes(self) -> list[tuple[str, str, str]]:
        actions = [item.entry.action for item in await self.house.all()]
        return [
            (action.name, action.kind, action.provider)
            for action in actions
            if isinstance(action, KeyAdded | KeyRemoved)
        ]

    async def nothing_leaked(self, *secrets: str) -> None:
        for item in await self.house.all():
            for secret in secrets:
                assert secret.encode() not in item.leaf + (item.body or b"")
        assert not [secret for secret in secrets if any(secret in text for text in self.platform.texts)]


@asynccontextmanager
async def connecting(
    folder: Path,
    *,
    device: bool = False,
    paste: str = "",
    scopes: tuple[str, ...] = ("mail.modify",),
    back: str = BACK,
    say: Sentences = ENGLISH,
) -> AsyncIterator[Connecting]:
    platform = AtTerminal() if device else RecordingPlatform()
    made: list[tuple[Services, Vault]] = []

    async with running_oauth_server() as server:

        def bring(store: SqliteStore, roadchain: RoadChain) -> Services:
            vault = Vault(store, [b"v" * 32])
            who = who_at("Mail", server.url, "/me", "login")
            app = replace(server.app(device=device), scopes=scopes)
            table = {
                "gmail": Service("gmail", "Mail", who, paste, app),
                "notion": Service("notion", "Notion", who, "Make one there."),
            }
            held = Credentials(vault, roadchain, table, lambda: server.now_s)
            consent = Consent(KEY, vault, roadchain, table, lambda: server.now_s)
            made.append((Services(table, held, consent, ToThe(back)), vault))
            return made[0][0]

        async with running_house(folder, platform, connecting=bring, say=say) as house:
            services, vault = made[0]
            yield Connecting(house, platform, server, services, vault)


async def test_a_token_comes_in_by_a_form_is_tried_and_stands_nowhere_but_in_the_vault(tmp_path: Path) -> None:
    async with connecting(tmp_path) as here:
        form = await here.house.door.form(ME, "member", "/connect notion")
        assert form is not None
        assert {field.name: field.kind for field in form.fields}["token"] == "secret"
        assert [choice.value for choice in form.fields[2].choices] == ["mine"]
        assert await here.fill() == ("", {"token": "Notion refuses this token, so it was not kept."})
        assert await here.token(service="notion") == ""
        token = here.server.grant("ann")["access_token"]
        said, errors = await here.fill(token=token)
        assert (said.splitlines()[0], errors) == (
            "Notion is connected as `ann`. You use it where no nearer connection is there.",
            {},
        )
        assert await here.token(service="notion") == token
        assert await here.token(BOB, "notion") == ""
        assert f"- Notion (`notion`): connected by you as `ann`, …{token[-4:]}" in await here.say("/connect")
        assert "- Notion (`notion`): not connected" in await here.say("/connect", BOB)
        said = await here.say("/disconnect notion")
        assert said == (
            "Notion is disconnected. What was kept is still good at Notion: revoke it there if it must not be."
        )
        assert await here.say("/disconnect notion") == "Notion is not connected by you."
        assert await here.changes() == [("key.added", "service", "notion"), ("key.removed", "service", "notion")]
        assert await here.vault.sealed() == ()
        assert all(reply.private for _, _, reply in here.platform.sent)
        await here.nothing_leaked(token)


async def test_one_that_cannot_be_tried_now_is_kept_and_that_is_said(tmp_path: Path) -> None:
    async with connecting(tmp_path) as here:
        here.server.fails = 503
        said, _ = await here.fill(token="perhaps-good")
        assert said.endswith("Notion could not be asked just now whether it takes it.")
        assert await here.token(service="notion") == "perhaps-good"


@pytest.mark.parametrize("headers", [{"X-RateLimit-Remaining": "0"}, {"Retry-After": "60"}])
async def test_a_service_that_was_asked_too_often_has_not_refused_a_token(headers: dict[str, str]) -> None:
    async with answering() as github:
        who = who_at("GitHub", github.url, "/user", "login")
        github.status, github.headers = 403, headers
        with pytest.raises(RateLimited):
            await who("token")
        github.headers = {}
        with pytest.raises(NotAllowed):
            await who("token")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"token": ""}, "token"),
        ({"token": "two words"}, "token"),
        ({"token": "line\nbreak"}, "token"),
        ({"token": "ü" * 20}, "token"),
        ({"token": "x" * 5000}, "token"),
        ({"service": "nobody"}, "service"),
        ({"service": "gmail"}, "service"),
    ],
)
async def test_what_is_no_token_is_said_by_field_and_goes_nowhere(
    tmp_path: Path, values: dict[str, str], field: str
) -> None:
    async with connecting(tmp_path) as here:
        assert set((await here.fill("member", **values))[1]) == {field}
        assert here.server.asked == []
        assert await here.house.store.all_secrets() == ()


async def test_only_an_admin_connects_and_disconnects_for_everybody(tmp_path: Path) -> None:
    async with connecting(tmp_path) as here:
        token = here.server.grant("team")["access_token"]
        assert (await here.fill(token=token, whose="workspace"))[0].startswith("Only an admin")
        await here.fill("admin", token=token, whose="workspace")
        assert await here.token(BOB, "notion") == token
        assert await here.token(ELSEWHERE, "notion") == ""
        assert "connected for this workspace as `team`" in await here.say("/connect", BOB)
        assert (await here.say("/disconnect notion workspace", BOB)).startswith("Only an admin")
        assert (await here.say("/connect gmail workspace", BOB)).startswith("Only an admin")
        assert await here.token(BOB, "notion") == token
        assert (await here.say("/disconnect notion workspace", BOB, "admin")).startswith("Notion is disconnected")
        assert await here.house.door.form(ME, "guest", "/connect notion") is None


@pytest.mark.parametrize(
    "text",
    [
        "/connect notion ntn_violet0123456789",
        "!connect ntn_violet0123456789",
        "connect notion ntn_violet0123456789",
        "/connect  notion\nntn_violet0123456789",
        "/disconnect notion ntn_violet0123456789",
    ],
)
async def test_a_token_that_is_written_into_a_message_is_not_recorded_and_its_writer_is_told(
    tmp_path: Path, text: str
) -> None:
    async with connecting(tmp_path) as here:
        await here.house.ask(asks(text, "1", ME, bare=True))
        assert here.platform.texts[0].startswith("If there was a token in that message, revoke it")
        await here.nothing_leaked("violet")


async def test_whoever_agrees_at_the_service_types_the_code_and_is_connected(tmp_path: Path) -> None:
    async with connecting(tmp_path) as here:
        assert await here.house.door.form(ME, "member", "/connect gmail") is None
        query = await here.link()
        assert (query["redirect_uri"], query["scope"], query["code_challenge_method"]) == (BACK, "mail.modify", "S256")
        status, typed = await here.back(query)
        assert status == 200
        workspace = PSEUDONYMS.workspace(ME.platform, ME.workspace)
        actor = PSEUDONYMS.actor(ME.platform, ME.workspace, ME.person)
        (under_way,) = await here.house.store.all_secrets()
        assert under_way.owner == pending_owners(KEY, workspace, actor)[0]
        assert re.fullmatch(r"/connect gmail [0-9A-Z]{4}-[0-9A-Z]{4}", typed)
        # Nothing is fetched before somebody says the code where it began.
        assert [path for path, _ in here.server.asked] == []
        assert await here.say(typed) == "Mail is connected as `ann`. You use it where no nearer connection is there."
        token = await here.token()
        assert here.server.account(token) == "ann"
        assert "connected by you as `ann`" in await here.say("/connect")
        (_, form) = here.server.asked[0]
        assert "code_verifier" in form
        refresh = next(iter(here.server.refreshes))
        said = await here.say("/disconnect gmail")
        assert said == "Mail is disconnected, and takes what was kept no more."
        assert here.server.revoked == [refresh]
        assert here.server.account(token) == ""
        assert await here.token() == ""
        assert await here.changes() == [("key.added", "service", "gmail"), ("key.removed", "service", "gmail")]
        assert await here.house.store.all_secrets() == ()
        await here.nothing_leaked(token, refresh, form["code"], form["code_verifier"])


async def test_nobody_agrees_for_another(tmp_path: Path) -> None:
    """Mallory sends Ann the link that he was given. Ann agrees: what she reads is of no use to anybody but him, and he has
    it not."""
    async with connecting(tmp_path) as here:
        query = await here.link(BOB)
        _, typed = await here.back(query, "ann")
        for who in (ME, ELSEWHERE, replace(BOB, workspace="another")):
            assert (await here.say(typed, who)).startswith("There is no such code for you")
            assert await here.token(who) == ""
        for guess in ("0000-0000", "AAAAAAAA", typed.split()[-1][:-1] + "*"):
            await here.say(f"/connect gmail {guess}", BOB)
        assert await here.token(BOB) == ""
        assert here.server.tokens == {}


@pytest.mark.parametrize(
    "spoilt", ["other service", "whose", "later", "another person", "no mac", "long", "empty", "ü"]
)
async def test_a_state_that_is_not_ours_to_the_letter_is_none(tmp_path: Path, spoilt: str) -> None:
    async with connecting(tmp_path) as here:
        query = await here.link()
        service, whose, ends, nonce, bound, mac = query["state"].split(".")
        states = {
            "other service": ("notion", whose, ends, nonce, bound, mac),
            "whose": (service, "w", ends, nonce, bound, mac),
            "later": (service, whose, str(int(ends) + 600), nonce, bound, mac),
            "another person": (service, whose, ends, nonce, "0" * 32, mac),
            "no mac": (service, whose, ends, nonce, bound),
            "long": ("x" * 1_000,),
            "empty": ("",),
            "ü": ("ü", mac),
        }
        status, page = await here.back(query, state=".".join(states[spoilt]))
        assert status == 400
        assert "Ask for a new one in the chat" in page
        assert await here.house.store.all_secrets() == ()


async def test_a_way_back_counts_once_and_for_ten_minutes_and_a_code_once_and_for_five(tmp_path: Path) -> None:
    async with connecting(tmp_path) as here:
        query = await here.link()
        _, typed = await here.back(query)
        assert (await here.back(query, "mallory"))[0] == 400  # the same link again
        here.server.now_s += 301
        assert (await here.say(typed)).startswith("There is no such code")
        late = await here.link()
        here.server.now_s += 601
        assert (await here.back(late))[0] == 400
        _, typed = await here.back(await here.link())
        code = typed.split()[-1].lower().replace("-", "").replace("0", "o").replace("1", "l")
        assert (await here.say(f"/connect gmail {code}")).startswith("Mail is connected")
        before = len(here.server.asked)
        assert (await here.say(typed)).startswith("There is no such code")
        assert len(here.server.asked) == before
        assert here.server.account(await here.token()) == "ann"


async def test_who_declines_is_told_and_nothing_is_kept(tmp_path: Path) -> None:
    async with connecting(tmp_path) as here:
        query = await here.link()
        status, page = await here.back(query, code="", error="access_denied")
        assert (status, "Mail says that it was declined" in page) == (400, True)
        assert await here.house.store.all_secrets() == ()


async def test_a_code_of_the_service_that_is_good_no_more_is_said_and_connects_nothing(tmp_path: Path) -> None:
    async with connecting(tmp_path) as here:
        query = await here.link()
        _, typed = await here.back(query)
        here.server.codes.clear()
        assert await here.say(typed) == "Mail did not grant it. Begin again with `/connect gmail`."
        assert await here.token() == ""


async def test_less_than_is_needed_connects_nothing_and_is_given_back(tmp_path: Path) -> None:
    async with connecting(tmp_path, scopes=("mail.modify", "mail.send")) as here:
        query = await here.link()
        _, typed = await here.back({**query, "scope": "mail.modify"})
        assert "did not grant all that is needed" in await here.say(typed)
        assert len(here.server.revoked) == 1
        assert await here.token() == ""


async def test_for_everybody_an_admin_sets_out_and_has_to_be_one_still_at_the_end(tmp_path: Path) -> None:
    async with connecting(tmp_path) as here:
        query = await here.link(text="/connect gmail workspace", standing="admin")
        _, typed = await here.back(query, "team")
        assert (await here.say(typed)).startswith("Only an admin")
        assert await here.token(BOB) == ""
        assert "Everybody in this workspace uses it" in await here.say(typed, standing="admin")
        assert here.server.account(await here.token(BOB)) == "team"


async def test_a_service_that_is_away_is_left_all_the_same_and_that_is_said(tmp_path: Path) -> None:
    async with connecting(tmp_path) as here:
        await here.say((await here.back(await here.link()))[1])
        here.server.fails = 503
        assert "still good at Mail: revoke it there" in await here.say("/disconnect gmail")
        assert await here.token() == ""


async def test_where_services_cannot_lead_back_that_is_said(tmp_path: Path) -> None:
    async with connecting(tmp_path, back="") as here:
        assert "CARPOOL_PUBLIC_URL" in await here.say("/connect gmail")


async def test_at_the_terminal_a_device_is_connected_by_a_code_that_is_typed_at_the_service(tmp_path: Path) -> None:
    async with connecting(tmp_path, device=True, paste="Make one.") as here:
        said = await here.say("/connect gmail", HERE)
        assert f"Open {here.server.url}/login/device, and type `WDJB-0001` there." in said
        assert await here.say("/connect gmail", HERE) == said  # not agreed to yet
        (device,) = here.server.devices.values()
        device.denied = True
        assert "WDJB-0002" in await here.say("/connect gmail", HERE)
        here.server.devices["device-2"].account = "ann"
        assert (await here.say("/connect gmail", HERE)).startswith("Mail is connected as `ann`")
        assert here.server.account(await here.token(HERE)) == "ann"
        form = await here.house.door.form(HERE, "owner", "/connect gmail token")
        assert form is not None
        await here.nothing_leaked("device-2", await here.token(HERE))


async def test_what_github_gave_is_taken_back_by_its_own_call() -> None:
    async with running_oauth_server() as server:
        app, token = server.app(revocation="github"), server.grant("ann")["access_token"]
        await app.revoke(token)
        await app.revoke(token)  # known no more, which is as good
        assert server.revoked == [token, token]
        assert server.account(token) == ""


async def test_the_own_page_says_what_is_connected_and_has_buttons_for_it(tmp_path: Path) -> None:
    async with connecting(tmp_path) as here:
        await here.fill(token=here.server.grant("ann")["access_token"])
        page = {section.title: section for section in await here.house.door.home(ME, "member")}
        section = page["Connected services"]
        assert "- Notion (`notion`): connected by you as `ann`" in section.text
        assert [button.invocation for button in section.buttons] == ["connect gmail", "disconnect notion"]


async def test_the_page_of_the_way_back_is_kept_by_nobody_and_framed_by_nobody(tmp_path: Path) -> None:
    async with connecting(tmp_path) as here:
        stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
        app = web_app(None, "", 1_000, lambda: "ok", connect=ConnectDoor(here.services.consent, BACK))
        serving = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, started.set_result))
        try:
            query = await here.link()
            given = {"code": here.server.consent(query, "ann"), "state": query["state"]}
            async with ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{await started}{CALLBACK_PATH}", params=given) as answer:
                    page = await answer.text()
                async with session.post(f"http://127.0.0.1:{await started}{CALLBACK_PATH}", data=given) as posted:
                    assert posted.status == 405
        finally:
            stop.set()
            await serving
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        typed = re.search(r"<code>([^<]+)</code>", page)
        assert typed is not None
        assert (await here.say(typed[1])).startswith("Mail is connected")


async def test_at_the_terminal_the_way_back_is_this_machine_and_nothing_else_is_served_there(tmp_path: Path) -> None:
    async with connecting(tmp_path) as here:
        loopback = Loopback(lambda query, url: come_back_page(here.services.consent, query, url))
        try:
            url = await loopback.redirect_url()
            assert url == await loopback.redirect_url()
            assert urlsplit(url).hostname == "127.0.0.1"
            workspace = PSEUDONYMS.workspace(ME.platform, ME.workspace)
            actor = PSEUDONYMS.actor(ME.platform, ME.workspace, ME.person)
            link = here.services.consent.set_out("gmail", workspace, actor, url, everybody=False)
            query = dict(parse_qsl(urlsplit(link).query))
            back = URL(url).with_query(code=here.server.consent(query, "ann"), state=query["state"])
            async with ClientSession() as session:
                async with session.get(loopback.short(link), allow_redirects=False) as led:
                    assert (led.status, led.headers["Location"]) == (303, link)
                for path, host in (("/", ""), (CALLBACK_PATH, "evil.example")):
                    headers = {"Host": host} if host else {}
                    async with session.get(back.with_path(path, keep_query=True), headers=headers) as answer:
                        assert answer.status == 404
                async with session.get(back) as answer:
                    typed = re.search(r"<code>([^<]+)</code>", await answer.text())
        finally:
            await loopback.aclose()
        assert typed is not None
        assert (await here.say(typed[1])).startswith("Mail is connected as `ann`")


async def test_all_that_a_person_reads_on_the_way_is_said_from_the_table(tmp_path: Path) -> None:
    async with connecting(tmp_path, scopes=("mail.modify", "mail.send"), say=BRACKETED) as here:

        async def page_of(query: dict[str, str], **other: str) -> str:
            given = {"code": here.server.consent(query, "ann"), "state": query["state"], **other}
            status, page = await come_back_page(here.services.consent, given, query["redirect_uri"], BRACKETED)
            pages.append(page)
            found = re.search(r"<code>([^<]+)</code>", page)
            assert bool(found) == (status == 200)
            return found[1] if found else ""

        pages: list[str] = []
        await page_of(await here.link(), error="access_denied")
        await page_of(await here.link(), state="none")
        less = await here.link()
        await here.say(await page_of({**less, "scope": "mail.modify"}))
        typed = await page_of(await here.link())
        await here.say("/connect gmail 0000-0000")
        here.server.codes.clear()
        await here.say(typed)
        assert here.platform.texts[-1] == "⟦⟦Mail did not grant it.⟧ Begin again with `/connect gmail`.⟧"
        for here.server.fails in (403, 404, 409, 422, 429, 500, 503, 418):
            await here.say(await page_of(await here.link()))
            assert re.fullmatch("⟦⟦Mail [^⟦⟧]+⟧ Nothing was connected.⟧", here.platform.texts[-1])
        here.server.fails = 0
        everybody = await page_of(await here.link(text="/connect gmail workspace", standing="admin"))
        await here.say(everybody)
        await here.say(everybody, standing="admin")
    assert {unsaid_of_page(page) for page in pages} == {""}
    assert all("Mail" in page for page in pages[2:])
    links = r"\]\(\S+\)"
    assert {rest for text in here.platform.texts if (rest := unsaid(re.sub(links, "", text)))} == set()


async def test_each_step_of_a_consent_is_on_the_ledger_before_it_is_taken(tmp_path: Path) -> None:
    async with connecting(tmp_path) as here:
        _, typed = await here.back(await here.link())
        await here.say(typed)
        entries = await here.house.all()
        steps = [
            item.entry.idem.split("/")[:2]
            for item in entries
            if isinstance(item.entry.action, CommandRun | KeyAdded) and not item.entry.idem.startswith("t-")
        ]
        assert [step[0] if step[0] == "key.added" else "/".join(step) for step in steps] == [
            "connect/callback",
            "connect/exchange",
            "key.added",
        ]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (
            {},
            [
                Finding("on", "GitHub", "People connect it with a token of theirs (`/connect github`)."),
                Finding("off", "Gmail", "Set GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET, and people can connect it."),
            ],
        ),
        (
            {"GITHUB_CLIENT_ID": "x"},
            [
                Finding(
                    "wrong",
                    "GitHub",
                    "GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET go together, and one of them is missing.",
                ),
                Finding("off", "Gmail", "Set GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET, and people can connect it."),
            ],
        ),
        (
            {"GOOGLE_CLIENT_ID": "x", "GOOGLE_CLIENT_SECRET": "y", "CARPOOL_PUBLIC_URL": "https://c.example"},
            [
                Finding("on", "GitHub", "People connect it with a token of theirs (`/connect github`)."),
                Finding(
                    "on",
                    "Gmail",
                    "People connect it by agreeing there (`/connect`), in Slack and Discord too; enter "
                    "https://c.example/connect/callback there as the way back.",
                ),
            ],
        ),
    ],
)
async def test_the_doctor_says_how_services_are_connected(
    tmp_path: Path, given: dict[str, str], found: list[Finding]
) -> None:
    settings = load({"CARPOOL_LOCAL_ENABLED": "false", **given}, tmp_path, tmp_path).settings
    assert settings is not None
    assert [item for item in await examine(settings) if item.subject in ("GitHub", "Gmail")] == found
