"""CarPool is installed in many workspaces, each answered with its own token, until Slack takes that back."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.logs import JsonLines
from bot.platforms.base import PlatformError
from bot.platforms.slack_handlers import SlackSocket
from bot.platforms.slack_needs import SCOPES
from bot.platforms.slack_tokens import for_tools
from integrations.tools.base import Toolbox, Where
from integrations.tools.slack_tools import slack_tools
from tests.bracketed import BRACKETED, unsaid_of_page
from tests.fakes.slack_oauth import CLIENT_ID
from tests.fakes.slack_server import APP_TOKEN, CHANNEL, IM, PERSON, SlackServer, running_slack_server
from tests.github_emulator import use_of
from tests.house import DATABASE
from tests.slack_installed import PUBLIC_URL, Clock, InstalledApp, running_installed
from tests.slack_workspace import Signed, envelope

ONE, TWO, ORG = "T0ONE", "T0TWO", "E0ORG"
ALL = ",".join(scope.name for scope in SCOPES)


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with running_slack_server() as server:
        yield server


@pytest.fixture
async def app(tmp_path: Path, slack: SlackServer) -> AsyncIterator[InstalledApp]:
    async with running_installed(tmp_path, slack.api_url) as running:
        yield running


def direct(team: str, ts: str, *, enterprise: str = "", outer: str = "", **more: Any) -> Signed:
    authorization = {
        "team_id": team,
        "enterprise_id": enterprise or None,
        "user_id": "U0BOT",
        "is_bot": True,
        "is_enterprise_install": bool(enterprise),
    }
    event = {"type": "message", "channel": IM, "channel_type": "im", "user": PERSON, "text": "hello", "ts": ts, **more}
    return envelope(
        {
            "type": "event_callback",
            "team_id": outer or team,
            "enterprise_id": enterprise or None,
            "event_id": f"Ev{ts}",
            "authorizations": [authorization],
            "event": event,
        }
    )


def told(team: str, kind: str, event_id: str = "Ev1", enterprise: str = "", **event: Any) -> Signed:
    return envelope(
        {
            "type": "event_callback",
            "team_id": team,
            "enterprise_id": enterprise or None,
            "event_id": event_id,
            "event": {"type": kind, **event},
        }
    )


def tokens_used(slack: SlackServer, *methods: str) -> list[str]:
    return [token for method, token in slack.apps.used if method in methods]


async def answered(app: InstalledApp, slack: SlackServer, request: Signed) -> None:
    before = len(slack.messages[IM])
    assert await app.deliver(request) == (200, "")
    await slack.until(lambda: len(slack.messages[IM]) > before)
    for recorded in await app.open.all():
        if recorded.entry.action.name == "message.received":
            await app.open.intake.ended(recorded.entry.turn)


async def test_each_workspace_is_answered_with_the_token_of_its_own_installation(
    app: InstalledApp, slack: SlackServer
) -> None:
    for team in (ONE, TWO):
        status, page = await app.install(slack.apps.consent(team, ALL))
        assert (status, f"CarPool is installed in Team {team}." in page) == (200, True)
    first, second = slack.apps.grants
    await answered(app, slack, direct(TWO, "1.1"))
    assert set(tokens_used(slack, "chat.startStream", "chat.postMessage", "users.info")) == {second}
    await answered(app, slack, direct(ONE, "2.2"))
    assert set(tokens_used(slack, "chat.startStream", "chat.postMessage")) == {first, second}
    assert await app.recorded("key.added") == ["key.added", "key.added"]


async def test_tools_act_in_each_workspace_with_the_token_of_its_own_installation(
    app: InstalledApp, slack: SlackServer
) -> None:
    for team in (ONE, TWO):
        await app.install(slack.apps.consent(team, ALL))
    tokens = dict(zip((ONE, TWO), slack.apps.grants, strict=True))
    box = Toolbox(slack_tools("", lambda: 0, slack.api_url), places={"slack": for_tools(app.tokens)})
    slack.messages[CHANNEL].append(
        {"type": "message", "user": PERSON, "ts": "1700000000.000200", "text": f"look: {tokens[TWO]}"}
    )
    for team in (TWO, ONE, TWO):
        slack.apps.used.clear()
        where = Where("slack", team, CHANNEL, "", PERSON)
        result = await box.use(replace(use_of("slack_channel", {}), where=where))
        assert not result.failed, result.content
        assert {token for _, token in slack.apps.used} == {tokens[team]}
        assert (tokens[TWO] in result.content) is (team == ONE), "its own token is never told"
    slack.apps.used.clear()
    for where_not in (None, Where("slack", "T0THREE", CHANNEL, "", PERSON), Where("discord", ONE, CHANNEL, "", PERSON)):
        assert (await box.use(replace(use_of("slack_channel", {}), where=where_not))).failed
    assert slack.apps.used == []
    slack.apps.revoke(tokens[ONE])
    await app.deliver(told(ONE, "app_uninstalled"))
    gone = await box.use(replace(use_of("slack_channel", {}), where=Where("slack", ONE, CHANNEL, "", PERSON)))
    assert gone.content == "CarPool is not installed in this workspace of Slack any more."


async def test_slack_is_asked_for_what_the_code_needs_and_sends_people_back_here(
    app: InstalledApp, slack: SlackServer
) -> None:
    asked, _ = await app.set_out()
    assert asked["client_id"] == CLIENT_ID
    assert asked["scope"] == ALL
    assert asked["redirect_uri"] == f"{PUBLIC_URL}/slack/oauth_redirect"
    await app.install(slack.apps.consent(ONE, ALL))
    assert slack.apps.exchanged[0]["redirect_uri"] == asked["redirect_uri"]


async def test_a_token_stands_nowhere_as_it_is(
    app: InstalledApp, slack: SlackServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await app.install(slack.apps.consent(ONE, ALL, rotation=True))
    (grant,) = slack.apps.grants.values()
    await answered(app, slack, direct(ONE, "1.1"))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name.startswith(DATABASE) for path in files)
    # Whatever libraries say, at whatever level: as the log writes it.
    logged = "\n".join(JsonLines().format(record) for record in caplog.records)
    for content in (logged.encode(), *(path.read_bytes() for path in files)):
        assert grant.token.encode() not in content
        assert grant.refresh.encode() not in content


async def test_a_sealed_token_that_was_moved_to_another_workspace_does_not_speak_there(
    app: InstalledApp, slack: SlackServer
) -> None:
    await app.install(slack.apps.consent(ONE, ALL))
    await app.install(slack.apps.consent(TWO, ALL))
    one, two = await app.open.store.all_secrets()
    await app.open.store.keep_secrets([type(one)(two.owner, two.name, one.sealed)])
    outcomes: list[float | bool | None] = []
    for team in (ONE, TWO):
        try:
            outcomes.append(bool((await app.tokens.of(team)).token))
        except PlatformError as error:
            outcomes.append(error.retry_after_s)
    assert sorted(outcomes, key=str) == [None, True]


@pytest.mark.parametrize("what", ["another cookie", "no cookie", "another state", "no state", "too late"])
async def test_a_way_back_that_is_not_of_this_browser_and_hour_installs_nothing(
    tmp_path: Path, slack: SlackServer, what: str
) -> None:
    clock = Clock()
    async with running_installed(tmp_path, slack.api_url, clock_s=clock) as app:
        asked, cookie = await app.set_out()
        state, code = asked["state"], slack.apps.consent(ONE, ALL)
        match what:
            case "another cookie":
                _, cookie = await app.set_out()
            case "no cookie":
                cookie = ""
            case "another state":
                state = f"{state[:-1]}{'0' if state[-1] != '0' else '1'}"
            case "no state":
                state = ""
            case _:
                clock.now_s += 601
        status, page = await app.come_back(cookie, code=code, state=state)
        assert (status, "Begin again" in page) == (400, True)
        assert slack.apps.exchanged == []
        assert await app.open.store.all_secrets() == ()


async def test_a_way_back_counts_once_even_where_two_come_at_the_same_time(
    app: InstalledApp, slack: SlackServer
) -> None:
    asked, cookie = await app.set_out()
    codes = [slack.apps.consent(ONE, ALL), slack.apps.consent(TWO, ALL)]
    came = await asyncio.gather(*(app.come_back(cookie, code=code, state=asked["state"]) for code in codes))
    assert sorted(status for status, _ in came) == [200, 400]
    assert len(slack.apps.exchanged) == 1


async def test_each_page_is_said_from_the_table(tmp_path: Path, slack: SlackServer) -> None:
    async with running_installed(tmp_path, slack.api_url, say=BRACKETED) as app:
        asked, cookie = await app.set_out()
        pages = [
            await app.come_back("", code="x", state=asked["state"]),
            await app.come_back(cookie, error="access_denied", state=asked["state"]),
            await app.come_back(cookie, code="x", state=asked["state"]),
            await app.install("code-of-nobody"),
            await app.install(slack.apps.consent(ONE, ALL)),
        ]
    assert [status for status, _ in pages] == [400, 400, 400, 502, 200]
    assert [unsaid_of_page(page) for _, page in pages] == [""] * len(pages)
    assert all("⟦" in page for _, page in pages)


async def test_what_slack_declines_or_does_not_grant_is_said_and_installs_nothing(
    app: InstalledApp, slack: SlackServer
) -> None:
    asked, cookie = await app.set_out()
    status, page = await app.come_back(cookie, error="access_denied", state=asked["state"])
    assert (status, "declined" in page) == (400, True)
    status, page = await app.install("code-of-nobody")
    assert (status, "did not grant" in page) == (502, True)
    assert "invalid_code" not in page
    assert await app.open.store.all_secrets() == ()


async def test_a_name_of_a_workspace_is_text_on_the_page_and_nothing_more(
    app: InstalledApp, slack: SlackServer
) -> None:
    _, page = await app.install(slack.apps.consent("<b>T</b>", ALL))
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


async def test_an_installation_of_an_organisation_answers_in_each_of_its_workspaces_also_after_a_restart(
    tmp_path: Path, slack: SlackServer
) -> None:
    async with running_installed(tmp_path, slack.api_url) as app:
        await app.install(slack.apps.consent("", ALL, enterprise=ORG))
        (token,) = slack.apps.grants
        slack.views.people[PERSON] = {"team_id": ONE}
        await answered(app, slack, direct(ONE, "1.1", enterprise=ORG))
        assert set(tokens_used(slack, "chat.startStream", "chat.postMessage")) == {token}
    async with running_installed(tmp_path, slack.api_url) as again:
        # A turn that is resumed knows its workspace alone.
        assert (await again.tokens.of(ONE)).token.reveal() == token
        with pytest.raises(PlatformError):
            await again.tokens.of(TWO)


@pytest.mark.parametrize(
    ("kind", "more"), [("app_uninstalled", {}), ("tokens_revoked", {"tokens": {"bot": ["U0BOT"], "oauth": []}})]
)
async def test_when_slack_takes_the_token_back_it_is_dropped_and_that_is_recorded_once(
    app: InstalledApp, slack: SlackServer, kind: str, more: dict[str, Any]
) -> None:
    await app.install(slack.apps.consent(ONE, ALL))
    await app.install(slack.apps.consent(TWO, ALL))
    first, _ = slack.apps.grants
    slack.apps.revoke(first)
    for _ in range(2):
        assert (await app.deliver(told(ONE, kind, **more)))[0] == 200
    assert await app.recorded("key.removed") == ["key.removed"]
    with pytest.raises(PlatformError):
        await app.tokens.of(ONE)
    assert (await app.tokens.of(TWO)).token
    assert len(await app.open.store.all_secrets()) == 1


async def test_a_token_that_slack_still_takes_was_installed_anew_and_stays(
    app: InstalledApp, slack: SlackServer
) -> None:
    await app.install(slack.apps.consent(ONE, ALL))
    assert (await app.deliver(told(ONE, "app_uninstalled")))[0] == 200
    assert (await app.tokens.of(ONE)).token
    assert await app.recorded("key.removed") == []


async def test_where_slack_cannot_be_asked_about_a_token_it_tells_of_it_again(
    app: InstalledApp, slack: SlackServer
) -> None:
    await app.install(slack.apps.consent(ONE, ALL))
    (token,) = slack.apps.grants
    slack.apps.revoke(token, "internal_error")
    assert (await app.deliver(told(ONE, "app_uninstalled")))[0] == 500
    slack.apps.revoke(token, "account_inactive")
    assert (await app.deliver(told(ONE, "app_uninstalled")))[0] == 200
    assert await app.recorded("key.removed") == ["key.removed"]


async def test_tokens_of_people_that_are_revoked_are_none_of_ours(app: InstalledApp, slack: SlackServer) -> None:
    await app.install(slack.apps.consent(ONE, ALL))
    slack.apps.revoke(next(iter(slack.apps.grants)))
    request = told(ONE, "tokens_revoked", tokens={"bot": [], "oauth": ["U1"]})
    assert (await app.deliver(request))[0] == 200
    assert len(await app.open.store.all_secrets()) == 1


async def test_a_workspace_that_its_organisation_takes_out_is_answered_no_more_and_the_others_are(
    app: InstalledApp, slack: SlackServer
) -> None:
    await app.install(slack.apps.consent("", ALL, enterprise=ORG))
    for team, ts in ((ONE, "1.1"), (TWO, "2.2")):
        slack.views.people[PERSON] = {"team_id": team}
        await answered(app, slack, direct(team, ts, enterprise=ORG))
    assert (await app.deliver(told("", "team_access_revoked", team_ids=[ONE])))[0] == 200
    with pytest.raises(PlatformError):
        await app.tokens.of(ONE)
    assert (await app.tokens.of(TWO)).token


async def test_an_event_of_a_workspace_without_an_installation_is_taken_and_answered_by_nothing(
    app: InstalledApp, slack: SlackServer
) -> None:
    status, body = await app.deliver(direct(ONE, "1.1"))
    assert (status, "not installed in this workspace any more" in body) == (200, True)
    assert await app.recorded("message.received") == []


async def test_in_a_channel_that_organisations_share_the_workspace_is_the_one_of_the_installation(
    app: InstalledApp, slack: SlackServer
) -> None:
    await app.install(slack.apps.consent(ONE, ALL))
    await answered(app, slack, direct(ONE, "1.1", outer="T0OTHER"))
    assert set(tokens_used(slack, "chat.startStream", "chat.postMessage")) == set(slack.apps.grants)


async def test_a_token_is_renewed_before_it_ends_once_also_where_many_want_it(
    tmp_path: Path, slack: SlackServer
) -> None:
    clock = Clock()
    async with running_installed(tmp_path, slack.api_url, clock_s=clock) as app:
        await app.install(slack.apps.consent(ONE, ALL, rotation=True))
        before = (await app.tokens.of(ONE)).token
        clock.now_s += 43_200 - 7_100
        found = await asyncio.gather(*(app.tokens.of(ONE) for _ in range(5)))
        assert {item.token for item in found} == {found[0].token}
        assert found[0].token != before
        assert found[0].bot == "U0BOT"
        assert [item.get("grant_type") for item in slack.apps.exchanged] == [None, "refresh_token"]
        assert await app.recorded("key.added") == ["key.added", "key.added"]
        clock.now_s += 43_200 - 7_100
        assert (await app.tokens.of(ONE)).token != found[0].token


async def test_a_token_that_cannot_be_renewed_is_used_until_it_ends(tmp_path: Path, slack: SlackServer) -> None:
    clock = Clock()
    async with running_installed(tmp_path, slack.api_url, clock_s=clock) as app:
        await app.install(slack.apps.consent(ONE, ALL, rotation=True))
        (grant,) = slack.apps.grants.values()
        grant.refresh = ""  # Slack knows it no more
        clock.now_s += 43_200 - 60
        assert (await app.tokens.of(ONE)).token.reveal() == grant.token
        clock.now_s += 61
        with pytest.raises(PlatformError):
            await app.tokens.of(ONE)


async def test_what_another_process_dropped_or_renewed_is_seen_within_a_minute(
    tmp_path: Path, slack: SlackServer
) -> None:
    clock = Clock()
    async with running_installed(tmp_path, slack.api_url, clock_s=clock) as app:
        await app.install(slack.apps.consent(ONE, ALL))
        await app.tokens.of(ONE)
        (sealed,) = await app.open.store.all_secrets()
        await app.open.store.drop_secret(sealed.owner, sealed.name)
        assert (await app.tokens.of(ONE)).token
        clock.now_s += 60
        with pytest.raises(PlatformError):
            await app.tokens.of(ONE)


async def test_over_socket_mode_it_is_the_same(app: InstalledApp, slack: SlackServer) -> None:
    for team in (ONE, TWO):
        await app.install(slack.apps.consent(team, ALL))
    first, second = slack.apps.grants
    async with SlackSocket(app.platform, app.bolt, APP_TOKEN):
        await slack.connected.wait()
        await slack.push("events_api", json.loads(direct(TWO, "1.1").body), "e1")
        await slack.until(lambda: bool(slack.messages[IM]))
        assert set(tokens_used(slack, "chat.startStream", "chat.postMessage")) == {second}
        slack.apps.revoke(first)
        await slack.push("events_api", json.loads(told(ONE, "app_uninstalled").body), "e2")
        assert await app.recorded("key.removed") == ["key.removed"]


async def test_a_mention_in_a_channel_is_answered_there(app: InstalledApp, slack: SlackServer) -> None:
    await app.install(slack.apps.consent(ONE, ALL))
    body = json.loads(direct(ONE, "3.3").body)
    body["event"] |= {"type": "app_mention", "channel": CHANNEL, "text": "<@U0BOT> hello"}
    del body["event"]["channel_type"]
    assert (await app.deliver(envelope(body)))[0] == 200
    await slack.until(lambda: bool(slack.messages[CHANNEL]))
