"""Commands in a simulated Discord: slash, menu and buttons from the one table; private ones for the asker alone; forms."""

from pathlib import Path
from typing import Any

import discord
import pytest
import simcord.interactions

from adapters.base import ChatRequest
from adapters.messages import ProviderName, TextDelta
from adapters.scripted import ScriptedAdapter, ScriptReply, answer
from bot.commands.table import COMMANDS
from bot.connections import Build, Built
from bot.errors import NOT_TAKEN, READ_ONLY
from bot.platforms.discord_wire import ASK, ASK_ABOUT, DISCORD
from bot.secret import Secret
from bot.vault import KeyOwner, Vault
from integrations.storage.sqlite import SqliteStore
from integrations.tools.base import Toolbox
from ledger.actions import KeyAdded
from ledger.book import Wanted
from ledger.errors import StoreFailed
from ledger.store import Seal, Sealed
from tests.discord_app import buttons_of, ours, running_discord, texts_of
from tests.fakes.oauth_server import running_oauth_server
from tests.fakes.ways import notion_at
from tests.house import PSEUDONYMS, WANTS_TOOL, RecordingTool, card


class Full(SqliteStore):
    """Takes the first entry, and then the disk is full."""

    async def commit(self, wanted: Wanted, seal: Seal) -> Sealed:
        if (await self.head()).size > 0:
            raise StoreFailed("SQLite: database or disk is full", "disk_full")
        return await super().commit(wanted, seal)


def full(store: SqliteStore) -> SqliteStore:
    store.__class__ = Full
    return store


async def test_each_command_of_the_table_is_one_of_discord(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        assert set(carpool.anna.available_commands(carpool.channel)) == {ASK, *COMMANDS}


async def test_commands_are_written_to_discord_only_where_they_differ(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        assert not await carpool.gateway.sync_commands()
        assert not await carpool.gateway.sync_commands()
        written = [request for request in carpool.env.http_requests if request.method == "PUT"]
        assert len(written) == 1


async def test_a_slash_command_is_acknowledged_and_then_answered(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        result = await carpool.anna.slash(carpool.channel, "help")
        await carpool.settled()
        deferred = [request.json for request in carpool.env.http_requests if request.path.endswith("/callback")]
        assert deferred == [{"type": 5}]
        assert not result.ephemeral
        assert result.response is not None
        assert "/model" in texts_of(result.response.message)[0]
        assert result.followups == []


async def test_a_question_by_slash_command_is_answered_where_it_was_asked(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        result = await carpool.anna.slash(carpool.channel, ASK, question="what is a heron?")
        await carpool.settled()
        assert result.response is not None
        assert texts_of(result.response.message)[0] == "Hello from CarPool."
        assert "Why" in buttons_of(result.response.message)


async def test_what_is_private_only_the_asker_sees(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        result = await carpool.anna.slash(carpool.channel, "keys")
        await carpool.settled()
        assert result.ephemeral
        assert len(ours(carpool.channel, carpool.anna)) == 1
        assert ours(carpool.channel, carpool.bob) == []


async def test_what_is_private_comes_as_a_direct_message_where_it_was_asked_by_mention(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        await carpool.ask("keys")
        assert ours(carpool.channel) == []
        assert carpool.channel.threads == []
        (said,) = ours(carpool.anna.user.dm_channel)
        assert "key" in texts_of(said)[0]


async def test_a_command_in_a_thread_is_of_its_conversation(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        asked = await carpool.ask("hello")
        result = await carpool.anna.slash(carpool.thread_of(asked), "why")
        await carpool.settled()
        assert result.response is not None
        assert "Lucidia's reason" in texts_of(result.response.message)[0]


async def test_a_button_says_its_command_to_whoever_pressed_it(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        asked = await carpool.ask("hello")
        (said,) = ours(carpool.thread_of(asked))
        why = await carpool.anna.click(said, label="Why")
        good = await carpool.anna.click(said, label="Good")
        await carpool.settled()
        assert why.ephemeral
        assert why.response is not None
        assert "Lucidia's reason" in texts_of(why.response.message)[0]
        assert good.ephemeral
        assert [action.verdict for action in await carpool.actions() if action.name == "feedback.given"] == ["good"]


async def test_again_answers_anew_in_the_same_thread(tmp_path: Path) -> None:
    async with running_discord(tmp_path, [answer("One."), answer("Two.")]) as carpool:
        asked = await carpool.ask("hello")
        (said,) = ours(carpool.thread_of(asked))
        await carpool.anna.click(said, label="Again")
        await carpool.settled()
        assert [texts_of(message)[0] for message in ours(carpool.thread_of(asked))] == ["One.", "Two."]


async def test_again_without_a_question_says_so_to_the_asker_alone(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        result = await carpool.anna.slash(carpool.channel, "again")
        await carpool.settled()
        (said,) = result.followups
        assert said.ephemeral
        assert "no question here" in texts_of(said.message)[0]


async def test_the_models_are_offered_while_a_name_is_typed(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        offered = await carpool.anna.autocomplete(carpool.channel, "model", "name", "scr")
        assert [choice["value"] for choice in offered] == ["scripted/m"]


async def test_the_models_of_a_key_that_was_brought_are_offered_to_whoever_brought_it(tmp_path: Path) -> None:
    vaults: list[Vault] = []

    def build(provider: ProviderName, key: Secret) -> Built:
        return ScriptedAdapter(provider, (answer("Hello."),)), (card("openai"),)

    def brought(store: SqliteStore) -> tuple[Vault, Build]:
        vaults.append(Vault(store, [b"v" * 32]))
        return vaults[0], build

    async with running_discord(tmp_path, brought=brought) as carpool:
        place = (DISCORD, str(carpool.guild.id))
        anna = PSEUDONYMS.actor(*place, str(carpool.anna.id))
        await vaults[0].keep(KeyOwner(PSEUDONYMS.workspace(*place), anna), ProviderName("openai"), Secret("k"))
        hers = await carpool.anna.autocomplete(carpool.channel, "model", "name", "open")
        his = await carpool.bob.autocomplete(carpool.channel, "model", "name", "open")
        assert [choice["value"] for choice in hers] == ["openai/m"]
        assert his == []


async def test_who_has_installed_it_for_themselves_is_the_owner_of_what_is_theirs_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = simcord.interactions.base_payload

    def theirs(*arguments: Any, **named: Any) -> Any:
        record, payload = made(*arguments, **named)
        return record, {**payload, "authorizing_integration_owners": {"1": str(named["user_id"])}}

    async with running_discord(tmp_path) as carpool:
        monkeypatch.setattr(simcord.interactions, made.__name__, theirs)
        await carpool.bob.slash(carpool.channel, ASK, question="hello")
        await carpool.bob.slash(carpool.channel, "settings", name="policy best")
        await carpool.settled()
        received = [action for action in await carpool.actions() if action.name == "setting.changed"]
        assert len(received) == 1
        bob = PSEUDONYMS.workspace(DISCORD, f"user:{carpool.bob.id}")
        entries = [recorded.entry for recorded in await carpool.open.all()]
        assert {entry.workspace for entry in entries if entry.action.name == "message.received"} == {bob}


async def test_a_message_of_somebody_is_asked_about_from_its_menu(tmp_path: Path) -> None:
    seen: list[str] = []

    def look(request: ChatRequest) -> ScriptReply:
        seen.append(request.messages[-1].text)
        return answer("A bird.")

    async with running_discord(tmp_path, look) as carpool:
        said = await carpool.bob.send(carpool.channel, "/settings policy best\nwhat a heron!")
        result = await carpool.anna.context_menu(carpool.channel, ASK_ABOUT, said)
        await carpool.settled()
        assert result.response is not None
        assert texts_of(result.response.message)[0] == "A bird."
        assert "by bob?\n\n> /settings policy best\n> what a heron!" in seen[0]


async def test_settings_are_a_form_for_admins(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        admins = carpool.guild.create_role("admins", permissions=discord.Permissions(manage_guild=True))
        carol = carpool.guild.add_member(carpool.env.create_user("carol"), roles=[admins])
        shown = await carol.slash(carpool.channel, "settings", name="edit")
        assert shown.modal is not None
        sent = await carol.submit_modal(shown, {"policy": ["best"], "guests": ["refused"]})
        assert sent.ephemeral
        changed = [action for action in await carpool.actions() if action.name == "setting.changed"]
        assert [(action.setting, action.value) for action in changed] == [("policy", "best")]


async def test_a_service_is_connected_by_a_form_and_its_token_stands_nowhere(tmp_path: Path) -> None:
    async with running_oauth_server() as server, running_discord(tmp_path, connecting=notion_at(server)) as carpool:
        shown = await carpool.anna.slash(carpool.channel, "connect", service="notion")
        assert shown.modal is not None
        token = server.grant("ann")["access_token"]
        sent = await carpool.anna.submit_modal(shown, {"service": ["notion"], "whose": ["mine"], "token": token})
        assert sent.ephemeral
        added = [action for action in await carpool.actions() if isinstance(action, KeyAdded)]
        assert added == [KeyAdded("service", "", "notion")]
        listed = await carpool.anna.slash(carpool.channel, "connect")
        await carpool.settled()
        assert listed.ephemeral
        for item in await carpool.open.all():
            assert token.encode() not in item.leaf + (item.body or b"")


async def test_what_is_wrong_in_a_form_is_said_and_it_can_be_opened_again(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        owner = carpool.guild.add_member(carpool.guild.owner)
        shown = await owner.slash(carpool.channel, "settings", name="edit")
        sent = await owner.submit_modal(shown, {"policy": ["best"], "guests": ["refused"], "budget": "much"})
        assert sent.response is not None
        assert buttons_of(sent.response.message) == ["Try again"]
        again = await owner.click(sent.response.message, label="Try again")
        assert again.modal is not None
        assert [action for action in await carpool.actions() if action.name == "setting.changed"] == []


async def test_a_member_sees_the_settings_and_no_form(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        result = await carpool.anna.slash(carpool.channel, "settings", name="edit")
        await carpool.settled()
        assert result.modal is None
        assert result.response is not None


async def test_what_could_not_be_recorded_is_said_to_whoever_waits(tmp_path: Path) -> None:
    async with running_discord(tmp_path, wrap=full) as carpool:
        result = await carpool.anna.slash(carpool.channel, ASK, question="hello")
        assert result.response is not None
        assert texts_of(result.response.message) == [NOT_TAKEN]


async def test_what_changes_something_is_asked_for_and_done_once_it_is_approved(tmp_path: Path) -> None:
    tool = RecordingTool("write")
    script = [(TextDelta("I look."), *WANTS_TOOL), answer("I have looked.")]
    async with running_discord(tmp_path, script, toolbox=Toolbox({"look": tool})) as carpool:
        asked = await carpool.ask("look there")
        (question,) = ours(carpool.thread_of(asked))
        assert "Stop" not in buttons_of(question)
        assert tool.calls == 0
        pressed = await carpool.anna.click(question, label=buttons_of(question)[0])
        await carpool.settled()
        assert tool.calls == 1
        assert pressed.ephemeral
        first, last = ours(carpool.thread_of(asked))
        assert first.id == question.id
        assert texts_of(last)[0].endswith("I have looked.")


async def test_what_a_slash_command_comes_to_may_be_asked_for_too(tmp_path: Path) -> None:
    tool = RecordingTool("write")
    script = [(TextDelta("I look."), *WANTS_TOOL), answer("I have looked.")]
    async with running_discord(tmp_path, script, toolbox=Toolbox({"look": tool})) as carpool:
        await carpool.anna.slash(carpool.channel, ASK, question="look there")
        await carpool.settled()
        (question,) = [said for said in ours(carpool.channel) if len(buttons_of(said)) == 3]
        await carpool.anna.click(question, label=buttons_of(question)[0])
        await carpool.settled()
        assert tool.calls == 1
        said = [texts_of(message)[0] for message in ours(carpool.channel, carpool.bob)]
        assert [text for text in said if text.endswith("I have looked.")] == said[-1:]


async def test_where_an_admin_turned_it_off_the_refusal_is_for_the_asker_alone(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        owner = carpool.guild.add_member(carpool.guild.owner)
        await owner.slash(carpool.channel, "settings", name="here off")
        await carpool.settled()
        await carpool.ask("hello")
        assert carpool.channel.threads == []
        (said,) = ours(carpool.anna.user.dm_channel)
        assert "turned CarPool off in this channel" in texts_of(said)[0]
        await carpool.anna.slash(carpool.channel, ASK, question="hello")
        await carpool.settled()
        assert len(ours(carpool.anna.user.dm_channel)) == 2
        assert ours(carpool.channel, carpool.bob) == []


async def test_a_member_may_not_set_what_admins_set(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        result = await carpool.anna.slash(carpool.channel, "settings", name="policy best")
        await carpool.settled()
        assert result.response is not None
        assert "Only an admin" in texts_of(result.response.message)[0]
        assert [action for action in await carpool.actions() if action.name == "setting.changed"] == []


async def test_where_the_ledger_was_found_changed_whoever_writes_is_told(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        await carpool.open.roadchain.stop_taking("RC004: entry 1: the hash is not that of the entry's bytes")
        await carpool.anna.send(carpool.channel, f"{carpool.mention} hello")
        await carpool.env.settle()
        assert carpool.channel.threads == []
        assert [texts_of(message) for message in ours(carpool.anna.user.dm_channel)] == [[READ_ONLY]]
        for command, given in ((ASK, {"question": "hello"}), ("help", {})):
            result = await carpool.anna.slash(carpool.channel, command, **given)
            assert result.response is not None
            assert texts_of(result.response.message) == [READ_ONLY]
