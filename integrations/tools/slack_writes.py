"""What an agent may write in Slack, where the asking person may see it. A message that is posted at once carries its mark in its
metadata.

What is posted is shown as text: it mentions nobody, and no address in it is opened to show what is there. The channel is named
each time: what was always allowed for one place must not count in another.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime

from adapters.messages import JsonObject, ToolCall
from integrations.sentence import Sentence, Told
from integrations.tools.base import Invalid, Preview, Tool, ToolLimits, Unknown, Use, parameters
from integrations.tools.marker import marker
from integrations.tools.slack_client import CONNECTION, PAGE_MAX, SERVICE, Slack, SlackClient, Thing, thing
from integrations.tools.writes import Write, tool_of

WRITE_LIMITS = ToolLimits(timeout_s=45.0)
SOUGHT_MAX = 400
"""How many of the newest are looked through for a mark. Where there are more, it is not known."""
SCHEDULED_DAYS_MAX = 120
EVENT_TYPE = "carpool_use"

CHANNEL: JsonObject = {"type": "string", "pattern": "^[CDG][A-Z0-9]{1,30}$"}
TS: JsonObject = {"type": "string", "pattern": "^[0-9]{10}\\.[0-9]{6}$"}
TEXT: JsonObject = {"type": "string", "minLength": 1, "maxLength": 4_000}
EMOJI: JsonObject = {"type": "string", "pattern": "^[a-z0-9_+'-]{1,100}(::skin-tone-[2-6])?$"}


def writing_tools(client: SlackClient, clock: Callable[[], int]) -> list[Tool]:
    return [tool_of(client, write, WRITE_LIMITS, CONNECTION) for write in _writes(clock)]


def _text(use: Use) -> str:
    """In it nothing is markup for a mention or a link of another name: those begin with the three that Slack reads so."""
    return use.text("text").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _metadata(use: Use) -> dict[str, object]:
    return {"event_type": EVENT_TYPE, "event_payload": {"use": marker(use)}}


NAMES: Mapping[str, Sentence] = {
    "emoji": Sentence("Emoji"),
    "scheduled": Sentence("Scheduled"),
    "text": Sentence("Text"),
    "thread_ts": Sentence("Thread ts"),
    "ts": Sentence("Ts"),
}
"""How the arguments are called where a person reads them."""


async def preview_of(slack: Slack, use: Use, title: Sentence, *names: str, irreversible: Told = "") -> Preview:
    channel = await slack.seen(use)
    about = thing(await slack.web.conversations_info(channel=channel))["channel"]
    name = about.get("name")
    called: Told = f"#{name} ({channel})" if name else Sentence("a direct conversation ({0})", (channel,))
    given = ((NAMES[name], use.text(name)) for name in names)
    fields = ((Sentence("Channel"), called), *((name, value) for name, value in given if value))
    return Preview(title, fields, irreversible=irreversible)


async def _post(slack: Slack, use: Use) -> str:
    channel = await slack.seen(use)
    posted = thing(
        await slack.web.chat_postMessage(
            channel=channel,
            text=_text(use),
            thread_ts=use.text("thread_ts") or None,
            metadata=_metadata(use),
            unfurl_links=False,
            unfurl_media=False,
        )
    )
    return f"Posted in {channel}: {posted['ts']}"


async def _show_post(slack: Slack, use: Use) -> Preview:
    return await preview_of(slack, use, Sentence("Post a message in Slack"), "thread_ts", "text", irreversible=_TOLD)


async def _seek_post(slack: Slack, use: Use) -> str | None:
    channel, ts = await slack.seen(use), use.text("thread_ts")
    if ts:
        found, more = await slack.messages(
            lambda cursor: slack.web.conversations_replies(
                channel=channel, ts=ts, cursor=cursor, limit=PAGE_MAX, include_all_metadata=True
            ),
            SOUGHT_MAX,
        )
    else:
        found, more = await slack.messages(
            lambda cursor: slack.web.conversations_history(
                channel=channel, cursor=cursor, limit=PAGE_MAX, include_all_metadata=True
            ),
            SOUGHT_MAX,
        )
    if posted := next((each for each in found if _is_marked(each, use)), None):
        return f"Posted in {channel}: {posted['ts']}"
    if more:
        raise Unknown(f"{SERVICE}: more than {SOUGHT_MAX}", "It is not known whether this was posted.")
    return None


def _is_marked(message: Thing, use: Use) -> bool:
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload") or {}
    return metadata.get("event_type") == EVENT_TYPE and payload.get("use") == marker(use)


async def _react(slack: Slack, use: Use) -> str:
    channel = await slack.seen(use)
    await slack.web.reactions_add(channel=channel, timestamp=use.text("ts"), name=use.text("emoji"))
    return f"Reacted to {use.text('ts')} in {channel}."


async def _show_react(slack: Slack, use: Use) -> Preview:
    return await preview_of(slack, use, Sentence("React to a message in Slack"), "ts", "emoji")


async def _seek_react(slack: Slack, use: Use) -> str | None:
    """Where CarPool's reaction stands there, nothing is left to do, whichever use put it there."""
    channel = await slack.seen(use)
    me = thing(await slack.web.auth_test())["user_id"]
    message = thing(await slack.web.reactions_get(channel=channel, timestamp=use.text("ts"), full=True))["message"]
    ours = any(each["name"] == use.text("emoji") and me in each["users"] for each in message.get("reactions") or ())
    return f"Reacted to {use.text('ts')} in {channel}." if ours else None


def _time(use: Use, now_us: int) -> int:
    """In seconds since 1970. Raises ``Invalid`` where it is none that can be meant."""
    try:
        at = datetime.fromisoformat(use.text("post_at"))
    except ValueError as error:
        raise Invalid("no time", "post_at has to be a time such as 2026-11-30T09:00:00+01:00.") from error
    if at.tzinfo is None:
        raise Invalid("no offset", "post_at has to say its offset from UTC, such as +01:00.")
    at_s, now_s = round(at.timestamp()), now_us / 1_000_000
    if not now_s < at_s <= now_s + SCHEDULED_DAYS_MAX * 86_400:
        raise Invalid("out of range", "post_at has to lie ahead, within {0} days.", SCHEDULED_DAYS_MAX)
    return at_s


def _scheduling(clock: Callable[[], int]) -> Write[Slack]:
    async def schedule(slack: Slack, use: Use) -> str:
        channel, at_s = await slack.seen(use), _time(use, clock())
        done = thing(
            await slack.web.chat_scheduleMessage(
                channel=channel,
                text=_text(use),
                post_at=at_s,
                thread_ts=use.text("thread_ts") or None,
                unfurl_links=False,
                unfurl_media=False,
            )
        )
        return f"Scheduled for {channel} at {_said(at_s)}: {done['scheduled_message_id']}"

    async def show(slack: Slack, use: Use) -> Preview:
        at_s = _time(use, clock())
        shown = await preview_of(slack, use, Sentence("Schedule a message in Slack"), "thread_ts", "text")
        return Preview(
            shown.title,
            (*shown.fields, (Sentence("At"), _said(at_s))),
            irreversible=Sentence("It is posted then, unless it is taken back before."),
        )

    async def seek(slack: Slack, use: Use) -> str | None:
        """It carries no mark, since Slack does not post what was scheduled with metadata: one like it may be of another use.

        Raises ``Unknown`` then, and where its time has come.
        """
        channel = await slack.seen(use)
        at_s = round(datetime.fromisoformat(use.text("post_at")).timestamp())
        if at_s * 1_000_000 <= clock():
            raise Unknown(f"{SERVICE}: its time has come", "It is not known whether this was scheduled.")
        async for each in scheduled_in(slack, use, channel):
            if int(each["post_at"]) == at_s and each["text"] == _text(use):
                raise Unknown(
                    f"{SERVICE}: one like it waits",
                    "A message like this is scheduled; it is not known by which request.",
                )
        return None

    return Write(
        "slack_schedule",
        "Schedules a message in a channel. post_at is a time with its offset: 2026-11-30T09:00:00+01:00.",
        parameters(
            {"channel": CHANNEL, "thread_ts": TS, "text": TEXT, "post_at": {"type": "string", "maxLength": 40}},
            ("channel", "text", "post_at"),
        ),
        schedule,
        show,
        seek,
        _back_schedule,
    )


async def scheduled_in(slack: Slack, use: Use, channel: str) -> AsyncIterator[Thing]:
    """What CarPool has scheduled there."""
    team = None if use.where is None else use.where.workspace  # asked for where the token is a whole organisation's
    async for page in slack.pages(
        lambda cursor: slack.web.chat_scheduledMessages_list(channel=channel, cursor=cursor, limit=100, team_id=team)
    ):
        for each in page["scheduled_messages"]:
            yield each


def _said(at_s: int) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _back_post(call: ToolCall, said: str) -> tuple[str, JsonObject] | None:
    found = re.fullmatch("Posted in ([A-Z0-9]+): ([0-9.]+)", said)
    thread = {"thread_ts": call.arguments["thread_ts"]} if "thread_ts" in call.arguments else {}
    return None if found is None else ("slack_delete", {"channel": found[1], "ts": found[2], **thread})


def _back_react(call: ToolCall, said: str) -> tuple[str, JsonObject] | None:
    return "slack_unreact", call.arguments


def _back_schedule(call: ToolCall, said: str) -> tuple[str, JsonObject] | None:
    found = re.fullmatch("Scheduled for ([A-Z0-9]+) at .+: ([A-Z0-9]+)", said)
    return None if found is None else ("slack_unschedule", {"channel": found[1], "scheduled": found[2]})


_TOLD = Sentence("Who is in the channel is told at once.")


def _writes(clock: Callable[[], int]) -> tuple[Write[Slack], ...]:
    return (
        Write(
            "slack_post",
            "Posts a message in a channel, or in a thread there. slack_channel says which channel this is.",
            parameters({"channel": CHANNEL, "thread_ts": TS, "text": TEXT}, ("channel", "text")),
            _post,
            _show_post,
            _seek_post,
            _back_post,
        ),
        Write(
            "slack_react",
            "Puts an emoji, by its name without colons, on a message in a channel.",
            parameters({"channel": CHANNEL, "ts": TS, "emoji": EMOJI}, ("channel", "ts", "emoji")),
            _react,
            _show_react,
            _seek_react,
            _back_react,
        ),
        _scheduling(clock),
    )
