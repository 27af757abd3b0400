"""Forms, people's own pages and the entries of a message's menu, with Slack's own SDK against a Slack that is as strict."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from bot.errors import NOT_TAKEN
from bot.platforms import slack_views
from bot.platforms.base import Accepted, Address, Field, Filled, Form, Incoming, Section, Standing, Taken
from bot.platforms.slack import SlackPlatform
from bot.platforms.slack_handlers import bolt_app
from bot.platforms.slack_needs import ASK, SUMMARISE
from bot.platforms.slack_views import NOT_HERE, WORKING, Views, together
from ledger.actions import SettingChanged
from ledger.errors import StoreFailed
from tests.fakes.oauth_server import running_oauth_server
from tests.fakes.slack_server import CHANNEL, IM, PERSON, TEAM, SlackServer, running_slack_server
from tests.fakes.slack_views import TRIGGER_S
from tests.fakes.ways import notion_at
from tests.slack_app import SlackUnderTest, running_slack
from tests.slack_workspace import BOT_TOKEN, FORM, Signed, envelope, sign, workspace_at

SECRET_KEY = "sk-typed-by-anna-0123456789"


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with running_slack_server() as server:
        server.views.people[PERSON] = {"is_admin": True}
        yield server


@pytest.fixture
async def app(tmp_path: Path, slack: SlackServer) -> AsyncIterator[SlackUnderTest]:
    async with running_slack(tmp_path, slack.api_url) as running:
        yield running


def interaction(kind: str, **payload: Any) -> Signed:
    body = {"type": kind, "team": {"id": TEAM}, "user": {"id": PERSON, "team_id": TEAM}, **payload}
    return sign(urlencode({"payload": json.dumps(body)}).encode(), FORM)


def command(slack: SlackServer, text: str) -> Signed:
    fields = {
        "command": "/carpool",
        "text": text,
        "team_id": TEAM,
        "channel_id": CHANNEL,
        "user_id": PERSON,
        "trigger_id": slack.views.trigger(),
        "response_url": slack.response_url,
    }
    return sign(urlencode(fields).encode(), FORM)


def submission(slack: SlackServer, values: dict[str, str], **more: str) -> Signed:
    view = slack.views.modal
    state: dict[str, dict[str, Any]] = {}
    for block in view["blocks"]:
        if block["type"] == "input" and block["block_id"] in values:
            given, kind = values[block["block_id"]], block["element"]["type"]
            chosen: dict[str, dict[str, Any]] = {
                "static_select": {"selected_option": {"value": given}},
                "users_select": {"selected_user": given},
            }
            answer = chosen.get(kind, {"value": given})
            state[block["block_id"]] = {"answer": {"type": kind, **answer}}
    trigger = more.get("trigger") or slack.views.trigger()
    return interaction("view_submission", view={**view, "state": {"values": state}}, trigger_id=trigger)


def opened_home() -> Signed:
    event = {"type": "app_home_opened", "user": PERSON, "channel": IM, "tab": "home"}
    body = {"type": "event_callback", "team_id": TEAM, "event_id": "EvHome", "event": event}
    return envelope({**body, "authorizations": [{"team_id": TEAM, "user_id": "U0BOT", "is_bot": True}]})


def menu(slack: SlackServer, callback: str, ts: str, text: str = "We ship on Friday.", **more: Any) -> Signed:
    message = {"type": "message", "user": "U0BERT", "ts": ts, "text": text, **more}
    return interaction(
        "message_action",
        callback_id=callback,
        trigger_id=slack.views.trigger(),
        channel={"id": CHANNEL},
        message=message,
        response_url=slack.response_url,
    )


async def changed(app: SlackUnderTest) -> list[tuple[str, str]]:
    return [
        (item.entry.action.setting, item.entry.action.value)
        for item in await app.open.all()
        if isinstance(item.entry.action, SettingChanged)
    ]


async def test_a_command_that_asks_for_a_form_opens_it_and_what_is_sent_is_done(
    app: SlackUnderTest, slack: SlackServer
) -> None:
    assert await app.deliver(command(slack, "settings edit")) == (200, "")
    assert slack.views.modal["title"]["text"] == "Settings"
    status, body = await app.deliver(submission(slack, {"policy": "cheapest", "guests": "refused", "budget": "2.5"}))
    assert (status, json.loads(body)["response_action"]) == (200, "update")
    assert "From now on" in body
    assert await changed(app) == [("policy", "cheapest"), ("answer_urc_max", "2500000")]
    await slack.until(lambda: PERSON in slack.views.homes)
    assert "cheapest" in str(slack.views.homes[PERSON])


async def test_a_service_is_connected_by_a_form_and_the_page_says_so_at_once(
    tmp_path: Path, slack: SlackServer
) -> None:
    async with running_oauth_server() as server:
        async with running_slack(tmp_path, slack.api_url, connecting=notion_at(server)) as app:
            assert await app.deliver(command(slack, "connect notion")) == (200, "")
            assert slack.views.modal["title"]["text"] == "Connect Notion"
            values = {"service": "notion", "whose": "workspace", "token": SECRET_KEY}
            status, body = await app.deliver(submission(slack, values))
            assert (status, list(json.loads(body)["errors"])) == (200, ["token"])
            token = server.grant("ann")["access_token"]
            assert "Notion is connected" in (await app.deliver(submission(slack, {**values, "token": token})))[1]
            await slack.until(lambda: PERSON in slack.views.homes)
            page = str(slack.views.homes[PERSON])
            assert "connected for this workspace as" in page
            assert "Connect Notion" in page
            for item in await app.open.all():
                assert token.encode() not in item.leaf + (item.body or b"")


async def test_what_is_wrong_is_said_at_its_field_and_can_be_mended(app: SlackUnderTest, slack: SlackServer) -> None:
    await app.deliver(command(slack, "settings edit"))
    status, body = await app.deliver(submission(slack, {"policy": "best", "guests": "refused", "budget": "much"}))
    assert status == 200
    answer = json.loads(body)
    assert (answer["response_action"], list(answer["errors"])) == ("errors", ["budget"])
    assert await changed(app) == []
    await app.deliver(submission(slack, {"policy": "best", "guests": "refused", "budget": "3"}))
    assert ("answer_urc_max", "3000000") in await changed(app)


async def test_a_sending_that_slack_tells_of_twice_changes_it_once(app: SlackUnderTest, slack: SlackServer) -> None:
    await app.deliver(command(slack, "settings edit"))
    request = submission(slack, {"policy": "best", "guests": "refused"}, trigger="same")
    for _ in range(2):
        assert (await app.deliver(request))[0] == 200
    assert await changed(app) == [("policy", "best")]


async def test_a_person_without_the_right_gets_no_form_and_is_told(app: SlackUnderTest, slack: SlackServer) -> None:
    slack.views.people[PERSON] = {}
    assert await app.deliver(command(slack, "settings edit")) == (200, "")
    await app.settled()
    assert slack.views.modals == {}
    assert "Only an admin" in str(slack.responses)


async def test_a_form_that_slack_does_not_show_in_time_is_told(app: SlackUnderTest, slack: SlackServer) -> None:
    request = command(slack, "settings edit")
    slack.later_s += TRIGGER_S + 0.1
    assert await app.deliver(request) == (200, "")
    await slack.until(lambda: bool(slack.responses) or bool(slack.ephemeral))
    assert "did not show the form in time" in f"{slack.responses}{slack.ephemeral}"


async def test_a_persons_page_shows_their_part_of_the_house_and_its_buttons_work(
    app: SlackUnderTest, slack: SlackServer
) -> None:
    assert await app.deliver(opened_home()) == (200, "")
    page = slack.views.homes[PERSON]
    headers = [block["text"]["text"] for block in page["blocks"] if block["type"] == "header"]
    shown = ["Recent conversations", "Models", "Agents", "Keys", "Connected services", "Credit", "Settings"]
    assert headers == shown
    assert "Change settings" in str(page)
    action = {"type": "button", "action_id": "carpool_home_0_0", "value": "settings edit", "action_ts": "1.1"}
    view = {"id": "V0HOME", "type": "home"}
    pressed = interaction("block_actions", actions=[action], trigger_id=slack.views.trigger(), view=view)
    assert await app.deliver(pressed) == (200, "")
    assert slack.views.modal["title"]["text"] == "Settings"


async def test_a_persons_page_links_to_the_conversations_that_they_had_last_and_to_nobody_elses(
    app: SlackUnderTest, slack: SlackServer
) -> None:
    async with workspace_at(slack.api_url) as workspace:
        first = await workspace.say("What is <https://example.org|this> & that?", workspace.im)
        await app.deliver(envelope(workspace.direct("What is <https://example.org|this> &amp; that?", first)))
        second = await workspace.say(f"<@{workspace.bot}> good\nmorning", workspace.channel)
        await app.deliver(envelope(workspace.mention("good\nmorning", second)))
        more = await workspace.say("and further?", workspace.channel, second)
        await app.deliver(envelope(workspace.mention("and further?", more, thread_ts=second)))
        others = await workspace.say(f"<@{workspace.bot}> mine", workspace.channel)
        await app.deliver(envelope(workspace.mention("mine", others, user="U0BERT")))
    await app.deliver(opened_home())
    blocks = slack.views.homes[PERSON]["blocks"]
    talks = [block["text"]["text"] for block in blocks if block.get("text", {}).get("text", "").startswith("• <")]
    assert talks == [
        f"• <https://team.example.org/archives/{CHANNEL}/p{second.replace('.', '')}|and further?>",
        f"• <https://team.example.org/archives/{IM}/p{first.replace('.', '')}|What is this (https://example.org) &amp; that?>",
    ]


async def test_a_button_that_opens_no_form_is_answered_in_a_direct_message(
    app: SlackUnderTest, slack: SlackServer
) -> None:
    action = {"type": "button", "action_id": "carpool_home_0_1", "value": "model", "action_ts": "1.2"}
    request = interaction("block_actions", actions=[action], trigger_id=slack.views.trigger(), view={"type": "home"})
    for _ in range(2):  # Slack may tell of it twice
        assert await app.deliver(request) == (200, "")
    await app.settled()
    assert len(await app.turns()) == 1
    assert len(slack.messages[IM]) == 1


async def test_a_guest_sees_on_their_page_that_they_were_not_let_in(app: SlackUnderTest, slack: SlackServer) -> None:
    slack.views.people[PERSON] = {"is_restricted": True}
    await app.deliver(opened_home())
    assert "guests are refused" in str(slack.views.homes[PERSON])
    assert "carpool_home" not in str(slack.views.homes[PERSON])


async def test_a_person_of_another_organisation_is_refused(app: SlackUnderTest, slack: SlackServer) -> None:
    slack.views.people[PERSON] = {"team_id": "T0OTHER", "is_stranger": True}
    assert await app.deliver(command(slack, "what is the secret?")) == (200, "")
    await app.settled()
    (said,) = slack.responses
    assert "Hello from CarPool" not in str(said)


async def test_a_message_is_asked_about_from_its_menu_and_answered_in_its_thread(
    app: SlackUnderTest, slack: SlackServer
) -> None:
    slack.messages[CHANNEL].append({"type": "message", "user": "U0BERT", "ts": "5.5", "text": "We ship on Friday."})
    request = menu(slack, ASK, "5.5")
    for _ in range(2):
        assert await app.deliver(request) == (200, "")
    await app.settled()
    assert len(await app.turns()) == 1
    assert slack.texts("5.5") == ["Hello from CarPool."]


async def test_a_thread_is_summarised_from_its_menu(app: SlackUnderTest, slack: SlackServer) -> None:
    slack.messages[CHANNEL] += [
        {"type": "message", "user": "U0BERT", "ts": "6.1", "thread_ts": "6.1", "text": "Friday?"},
        {"type": "message", "user": PERSON, "ts": "6.2", "thread_ts": "6.1", "text": "Friday."},
    ]
    assert await app.deliver(menu(slack, SUMMARISE, "6.2", thread_ts="6.1")) == (200, "")
    await app.settled()
    assert slack.texts("6.1") == ["Hello from CarPool."]


async def test_where_carpool_cannot_read_the_person_is_told_and_nothing_is_asked(
    app: SlackUnderTest, slack: SlackServer
) -> None:
    assert await app.deliver(menu(slack, ASK, "7.7")) == (200, "")
    await slack.until(lambda: bool(slack.responses))
    assert NOT_HERE in str(slack.responses)
    assert await app.turns() == []


@dataclass
class SlowDoor:
    """A house that takes as long for a form as it is told, and fails where it is told to."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Exception | None = None
    filled: list[Filled] = field(default_factory=list)

    async def accept(self, incoming: Incoming) -> Accepted:
        raise NotImplementedError

    async def amend(self, incoming: Incoming, edit: str) -> None:
        raise NotImplementedError

    async def withdraw(self, address: Address, event_identity: str) -> None:
        raise NotImplementedError

    def stop(self, conversation: Any) -> int:
        return 0

    def conversation(self, address: Address) -> Any:
        raise NotImplementedError

    async def knows(self, address: Address) -> bool:
        return False

    async def form(self, address: Address, standing: Standing, text: str) -> Form | None:
        return Form("keys", "Add a key", (Field("key", "Key", "secret"),))

    async def fill(self, filled: Filled) -> Taken:
        self.filled.append(filled)
        await self.go.wait()
        if self.failure is not None:
            raise self.failure
        return Taken("The key is kept, sealed.", {})

    async def home(self, address: Address, standing: Standing) -> tuple[Section, ...]:
        return (Section("Keys", "none"),)


@pytest.fixture
async def platform(slack: SlackServer) -> AsyncIterator[SlackPlatform]:
    platform = SlackPlatform(BOT_TOKEN, slack.api_url)
    yield platform
    await platform.aclose()


async def dispatched(platform: SlackPlatform, door: SlowDoor, request: Signed) -> str:
    from slack_bolt.request.async_request import AsyncBoltRequest

    views = Views(platform, door)
    app = bolt_app(platform, door, together(views), views.open)
    headers: Any = request.headers
    answer = await app.async_dispatch(AsyncBoltRequest(body=request.body.decode(), headers=headers))
    assert answer.status == 200
    return str(answer.body)


async def test_what_takes_longer_than_slack_waits_is_shown_when_it_is_done(
    slack: SlackServer, platform: SlackPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slack_views, "FILL_S", 0.05)
    door = SlowDoor()
    await dispatched(platform, door, command(slack, "keys add openai"))
    body = await dispatched(platform, door, submission(slack, {"key": SECRET_KEY}))
    assert WORKING in body
    door.go.set()
    await slack.until(lambda: "The key is kept, sealed." in str(slack.views.modals))
    assert door.filled[0].values == {"key": SECRET_KEY}


@pytest.mark.parametrize("failure", [StoreFailed("full", "disk_full"), RuntimeError(SECRET_KEY)])
async def test_a_form_that_fails_is_said_and_what_was_typed_stands_in_no_log(
    slack: SlackServer, platform: SlackPlatform, caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    from bot.logs import JsonLines

    caplog.set_level("DEBUG")
    door = SlowDoor(failure=failure)
    door.go.set()
    await dispatched(platform, door, command(slack, "keys add openai"))
    body = await dispatched(platform, door, submission(slack, {"key": SECRET_KEY}))
    answer = json.loads(body)
    assert (answer["response_action"], list(answer["errors"])) == ("errors", ["key"])
    assert (NOT_TAKEN in body) is isinstance(failure, StoreFailed)
    assert SECRET_KEY not in body
    assert SECRET_KEY not in "\n".join(JsonLines().format(record) for record in caplog.records)
