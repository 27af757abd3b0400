"""CarPool in a simulated Discord: what a person sees of a mention, a direct message, a command, a press, a form."""

import asyncio
from pathlib import Path

import discord
import pytest

from adapters.base import ChatRequest
from adapters.messages import Finished, Image, TextDelta
from adapters.scripted import ScriptReply, WaitFor, answer
from bot.platforms.base import Address, Attached, PlatformError
from bot.platforms.discord_wire import DISCORD
from tests.discord_app import CDN_HOST, DiscordUnderTest, buttons_of, ours, running_discord, texts_of


async def shown_in(carpool: DiscordUnderTest, asked: discord.Message) -> discord.Message:
    """The answer that is being made, as soon as some of it is seen."""
    while True:
        for thread in carpool.channel.threads:
            if thread.id == asked.id and (messages := ours(thread)):
                return messages[-1]
        await asyncio.sleep(0)  # the bot posts it in a task of its own, of which nobody else is told


async def test_a_mention_is_answered_in_a_thread_of_its_own(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        asked = await carpool.ask("what is a heron?")
        thread = carpool.thread_of(asked)
        (said,) = ours(thread)
        text, footer = texts_of(said)
        assert text == "Hello from CarPool."
        assert footer.startswith("-# ")
        assert buttons_of(said) == ["Why", "Again", "Good", "Bad", "Receipt"]
        assert thread.name == "what is a heron?"
        assert not ours(carpool.channel)


async def test_a_mention_in_that_thread_goes_on_with_the_conversation(tmp_path: Path) -> None:
    async with running_discord(tmp_path, [answer("One."), answer("Two.")]) as carpool:
        asked = await carpool.ask("first")
        thread = carpool.thread_of(asked)
        await carpool.anna.send(thread, f"{carpool.mention} second")
        await carpool.settled()
        assert [texts_of(said)[0] for said in ours(thread)] == ["One.", "Two."]
        conversations = {action.conversation for action in await carpool.actions() if hasattr(action, "refusal")}
        assert len(conversations) == 1


async def test_a_direct_message_needs_no_mention_and_no_thread(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        await carpool.anna.send_dm("hello")
        await carpool.settled()
        (said,) = ours(carpool.anna.user.dm_channel)
        assert texts_of(said)[0] == "Hello from CarPool."


async def test_talk_of_others_is_not_answered(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        await carpool.anna.send(carpool.channel, "has anybody seen the heron?")
        await carpool.settled()
        assert await carpool.turns() == []


async def test_other_bots_are_not_answered(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        other = carpool.guild.add_member(carpool.env.create_user("other", bot=True))
        await carpool.ask("hello", other)
        assert await carpool.turns() == []


async def test_the_same_message_delivered_again_is_answered_once(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        asked = await carpool.ask("hello")
        await carpool.gateway.on_message(asked)
        await carpool.settled()
        assert len(await carpool.turns()) == 1
        assert len(ours(carpool.thread_of(asked))) == 1


async def test_without_the_right_to_make_threads_it_replies_in_the_channel(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        no_threads = discord.PermissionOverwrite(create_public_threads=False)
        quiet = carpool.guild.create_text_channel("quiet", overwrites={carpool.guild.default_role: no_threads})
        asked = await carpool.anna.send(quiet, f"{carpool.mention} hello")
        await carpool.settled()
        (said,) = ours(quiet)
        assert said.reference is not None
        assert said.reference.message_id == asked.id
        await carpool.anna.send(quiet, "go on", reply_to=said)
        await carpool.settled()
        assert len(ours(quiet)) == 2
        assert (
            len({action.conversation for action in await carpool.actions() if action.name == "message.received"}) == 1
        )


async def test_a_thread_that_is_refused_leaves_the_answer_in_the_channel(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        carpool.env.inject_error("POST", "/channels/*/messages/*/threads", status=403)
        asked = await carpool.ask("hello")
        (said,) = ours(carpool.channel)
        assert said.reference is not None
        assert said.reference.message_id == asked.id


async def test_an_answer_is_shown_as_it_comes_and_can_be_stopped(tmp_path: Path) -> None:
    go_on = asyncio.Event()
    script = [(TextDelta("First words"), WaitFor(go_on), TextDelta(" and more."), Finished("stop", None))]
    async with running_discord(tmp_path, script) as carpool:
        asked = await carpool.anna.send(carpool.channel, f"{carpool.mention} hello")
        live = await shown_in(carpool, asked)
        assert texts_of(live) == ["First words"]
        assert buttons_of(live) == ["Stop"]
        await carpool.anna.click(live, label="Stop")
        await carpool.settled()
        (said,) = ours(carpool.thread_of(asked))
        assert said.id == live.id
        assert "Stopped, as you asked." in texts_of(said)[0]
        assert "Stop" not in buttons_of(said)


async def test_a_deleted_question_takes_its_begun_answer_with_it(tmp_path: Path) -> None:
    script = [(TextDelta("First words"), WaitFor(asyncio.Event()))]
    async with running_discord(tmp_path, script) as carpool:
        asked = await carpool.anna.send(carpool.channel, f"{carpool.mention} hello")
        await shown_in(carpool, asked)
        await carpool.anna.delete(asked)
        await carpool.settled()
        assert ours(carpool.thread_of(asked)) == []
        assert [action.cause for action in await carpool.actions() if action.name == "message.withdrawn"] == ["deleted"]


async def test_an_edited_question_is_answered_as_it_reads_now(tmp_path: Path) -> None:
    script = [(TextDelta("First words"), WaitFor(asyncio.Event())), answer("To what you meant.")]
    async with running_discord(tmp_path, script) as carpool:
        asked = await carpool.anna.send(carpool.channel, f"{carpool.mention} hello")
        await shown_in(carpool, asked)
        await carpool.anna.edit(asked, f"{carpool.mention} hello there")
        await carpool.settled()
        (said,) = ours(carpool.thread_of(asked))
        assert texts_of(said)[0] == "To what you meant."


async def test_a_long_answer_is_whole_in_several_messages_with_its_fences_closed(tmp_path: Path) -> None:
    code = "\n".join(f"line {number} = {number}" for number in range(500))
    long = f"Here it is:\n\n```python\n{code}\n```\n\nThat is all."
    async with running_discord(tmp_path, [answer(*(long[at : at + 97] for at in range(0, len(long), 97)))]) as carpool:
        asked = await carpool.ask("write it")
        said = ours(carpool.thread_of(asked))
        assert len(said) > 2
        pieces = [texts_of(message)[0] for message in said]
        assert all(piece.count("```") % 2 == 0 for piece in pieces)
        assert [line for piece in pieces for line in piece.splitlines() if " = " in line] == code.splitlines()
        assert [bool(buttons_of(message)) for message in said] == [False] * (len(said) - 1) + [True]


async def test_nobody_is_called_by_what_a_model_says(tmp_path: Path) -> None:
    async with running_discord(tmp_path, [answer("@everyone look, <@1> and <@&2>")]) as carpool:
        asked = await carpool.ask("hello")
        (said,) = ours(carpool.thread_of(asked))
        assert not said.mention_everyone
        sent = [request.json for request in carpool.env.http_requests if request.json and "components" in request.json]
        assert sent
        assert all(body["allowed_mentions"] == {"parse": []} for body in sent)


async def test_a_file_that_came_along_is_read_from_discord(tmp_path: Path) -> None:
    seen: list[ChatRequest] = []

    def look(request: ChatRequest) -> ScriptReply:
        seen.append(request)
        return answer("A file.")

    async with running_discord(tmp_path, look) as carpool:
        await carpool.anna.send(
            carpool.channel, f"{carpool.mention} what is it?", attachments=[("heron.png", b"a heron")]
        )
        await carpool.settled()
        (request,) = seen
        images = [part for part in request.messages[-1].parts if isinstance(part, Image)]
        assert images == [Image("image/png", b"a heron")]


async def test_files_are_read_from_discords_own_hosts_only_and_not_beyond_the_limit(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        to = Address(DISCORD, "1", "2", "", "3")
        for attached in (
            Attached("note.txt", "text/plain", 7, "http://127.0.0.1:9/note.txt"),
            Attached("note.txt", "text/plain", 7, "file://cdn.simcord.invalid/etc/passwd"),
            Attached("note.txt", "text/plain", 101, f"https://{CDN_HOST}/note.txt"),
        ):
            with pytest.raises(PlatformError) as refused:
                await carpool.platform.fetch(to, attached, 100)
            assert refused.value.retry_after_s is None
        assert not [request for request in carpool.env.http_requests if "note.txt" in request.path]


async def test_what_a_question_replies_to_is_read_with_it(tmp_path: Path) -> None:
    seen: list[str] = []

    def look(request: ChatRequest) -> ScriptReply:
        seen.append(request.messages[-1].text)
        return answer("I see.")

    async with running_discord(tmp_path, look, reads_all=True) as carpool:
        said = await carpool.bob.send(carpool.channel, "I saw a heron at the pond.")
        await carpool.anna.send(carpool.channel, f"{carpool.mention} what did bob see?", reply_to=said)
        await carpool.settled()
        assert "> bob: I saw a heron at the pond." in seen[0]
        assert seen[0].endswith("what did bob see?")


async def test_a_thread_of_its_own_is_followed_without_a_mention_where_it_may_read_all(tmp_path: Path) -> None:
    async with running_discord(tmp_path, [answer("One."), answer("Two.")], reads_all=True) as carpool:
        asked = await carpool.ask("first")
        await carpool.anna.send(carpool.thread_of(asked), "and the second?")
        await carpool.anna.send(carpool.channel, "not for anybody")
        await carpool.settled()
        assert [texts_of(said)[0] for said in ours(carpool.thread_of(asked))] == ["One.", "Two."]


async def test_a_fault_of_discord_while_it_is_shown_costs_nothing_of_the_answer(tmp_path: Path) -> None:
    async with running_discord(tmp_path) as carpool:
        carpool.env.inject_error("POST", "/channels/*/typing", status=500)
        carpool.env.inject_error("POST", "/channels/*/messages", status=500)
        asked = await carpool.ask("hello")
        await carpool.settled()
        assert [texts_of(said)[0] for said in ours(carpool.thread_of(asked))] == ["Hello from CarPool."]
