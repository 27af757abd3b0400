"""What an agent may take back in Slack of what was done here: a message, a reaction, a message for later.

Each is a write like any other. Slack lets an app delete its own messages alone; of those, only what carries a mark of ours is
taken back, so that an answer of CarPool's stays.
"""

from integrations.sentence import Sentence
from integrations.tools.base import NotAllowed, NotFound, Preview, Tool, Unknown, Use, parameters
from integrations.tools.slack_client import CONNECTION, SERVICE, Slack, SlackClient, Thing, thing
from integrations.tools.slack_writes import CHANNEL, EMOJI, EVENT_TYPE, TS, WRITE_LIMITS, preview_of, scheduled_in
from integrations.tools.writes import Write, tool_of


def undoing_tools(client: SlackClient) -> list[Tool]:
    return [tool_of(client, undo, WRITE_LIMITS, CONNECTION) for undo in UNDOS]


async def _posted(slack: Slack, use: Use) -> Thing | None:
    """The message that is meant; None where it is gone. Raises ``NotAllowed`` where it is none that was posted for somebody."""
    channel, ts, thread = await slack.seen(use), use.text("ts"), use.text("thread_ts")
    if thread:
        asked = slack.web.conversations_replies(
            channel=channel, ts=thread, oldest=ts, latest=ts, inclusive=True, include_all_metadata=True
        )
    else:
        asked = slack.web.conversations_history(
            channel=channel, oldest=ts, latest=ts, inclusive=True, limit=1, include_all_metadata=True
        )
    message = next((each for each in thing(await asked)["messages"] if each["ts"] == ts), None)
    if message is not None and (message.get("metadata") or {}).get("event_type") != EVENT_TYPE:
        raise NotAllowed("no mark", "That message was not posted as a tool's, and only what was is taken back.")
    return message


async def _delete(slack: Slack, use: Use) -> str:
    channel = await slack.seen(use)
    if await _posted(slack, use) is None:
        raise NotFound(f"{SERVICE}: no such message", "That message is not there any more.")
    await slack.web.chat_delete(channel=channel, ts=use.text("ts"))
    return f"Deleted the message {use.text('ts')} in {channel}."


async def _show_delete(slack: Slack, use: Use) -> Preview:
    message = await _posted(slack, use)
    if message is None:
        raise NotFound(f"{SERVICE}: no such message", "That message is not there any more.")
    final = Sentence("A deleted message is gone.")
    shown = await preview_of(slack, use, Sentence("Delete a message in Slack"), "ts", irreversible=final)
    said = (*shown.fields, (Sentence("It says"), str(message.get("text") or "")))
    return Preview(shown.title, said, irreversible=shown.irreversible)


async def _seek_delete(slack: Slack, use: Use) -> str | None:
    """Where it is gone, nothing is left to do, whoever deleted it."""
    return "The message is gone." if await _posted(slack, use) is None else None


async def _reacted(slack: Slack, use: Use) -> bool:
    """Whether CarPool's reaction stands there."""
    channel = await slack.seen(use)
    me = thing(await slack.web.auth_test())["user_id"]
    message = thing(await slack.web.reactions_get(channel=channel, timestamp=use.text("ts"), full=True))["message"]
    return any(each["name"] == use.text("emoji") and me in each["users"] for each in message.get("reactions") or ())


async def _unreact(slack: Slack, use: Use) -> str:
    channel = await slack.seen(use)
    await slack.web.reactions_remove(channel=channel, timestamp=use.text("ts"), name=use.text("emoji"))
    return f"Took back the reaction to {use.text('ts')} in {channel}."


async def _show_unreact(slack: Slack, use: Use) -> Preview:
    if not await _reacted(slack, use):
        raise NotFound(f"{SERVICE}: no such reaction", "That reaction is not there any more.")
    return await preview_of(slack, use, Sentence("Take back a reaction in Slack"), "ts", "emoji")


async def _seek_unreact(slack: Slack, use: Use) -> str | None:
    return None if await _reacted(slack, use) else "The reaction is gone."


async def _unschedule(slack: Slack, use: Use) -> str:
    channel = await slack.seen(use)
    await slack.web.chat_deleteScheduledMessage(channel=channel, scheduled_message_id=use.text("scheduled"))
    return f"Cancelled the message {use.text('scheduled')} for {channel}."


async def _waiting(slack: Slack, use: Use) -> Thing | None:
    wanted = use.text("scheduled")
    async for each in scheduled_in(slack, use, await slack.seen(use)):
        if str(each["id"]) == wanted:
            return each
    return None


async def _show_unschedule(slack: Slack, use: Use) -> Preview:
    waiting = await _waiting(slack, use)
    if waiting is None:
        raise NotFound(f"{SERVICE}: not scheduled", "That message waits no more.")
    shown = await preview_of(slack, use, Sentence("Cancel a message for later in Slack"), "scheduled")
    return Preview(shown.title, (*shown.fields, (Sentence("It says"), str(waiting["text"]))))


async def _seek_unschedule(slack: Slack, use: Use) -> str | None:
    if await _waiting(slack, use) is not None:
        return None
    raise Unknown(f"{SERVICE}: no longer scheduled", "It waits no more; it is not known whether it was posted.")


UNDOS = (
    Write(
        "slack_delete",
        "Takes back a message that was posted here with slack_post; thread_ts where it stands in a thread.",
        parameters({"channel": CHANNEL, "ts": TS, "thread_ts": TS}, ("channel", "ts")),
        _delete,
        _show_delete,
        _seek_delete,
    ),
    Write(
        "slack_unreact",
        "Takes back an emoji that was put on a message here.",
        parameters({"channel": CHANNEL, "ts": TS, "emoji": EMOJI}, ("channel", "ts", "emoji")),
        _unreact,
        _show_unreact,
        _seek_unreact,
        lambda call, said: ("slack_react", call.arguments),
    ),
    Write(
        "slack_unschedule",
        "Cancels a message that was scheduled here, by the id that slack_schedule gave.",
        parameters(
            {"channel": CHANNEL, "scheduled": {"type": "string", "pattern": "^[A-Z0-9]{1,40}$"}},
            ("channel", "scheduled"),
        ),
        _unschedule,
        _show_unschedule,
        _seek_unschedule,
    ),
)
