"""What an agent may read in Slack: what the asking person may see there. Writing is in ``slack_writes``."""

from collections.abc import Awaitable, Callable, Iterable, Mapping

from adapters.messages import JsonObject, ToolSpec
from integrations.tools.base import NotConnected, ReadTool, Tool, ToolLimits, Use, parameters
from integrations.tools.slack_client import (
    API,
    CONNECTION,
    LISTED_MAX,
    PAGE_MAX,
    SERVICE,
    Slack,
    SlackClient,
    Thing,
    thing,
)
from integrations.tools.slack_undo import undoing_tools
from integrations.tools.slack_writes import CHANNEL, TS, writing_tools

READ_LIMITS = ToolLimits(timeout_s=60.0)
SEARCHED_PAGES_MAX = 3
SEARCHED_CHANNELS_MAX = 20
"""In so many channels it is looked whether the asking person is in them; what was found in others is left out."""


def slack_tools(token: str, clock: Callable[[], int], url: str = API, search_token: str = "") -> Mapping[str, Tool]:
    """By name. ``clock`` gives microseconds since 1970. Without a ``search_token`` nothing is searched. ``token`` is empty where
    each use brings that of its workspace."""
    client = SlackClient(token, url, search_token)
    tools = [*_reading_tools(client), *writing_tools(client, clock), *undoing_tools(client)]
    return {tool.spec.name: tool for tool in tools}


def _reading_tools(client: SlackClient) -> list[Tool]:
    query: JsonObject = {"type": "string", "minLength": 1, "maxLength": 250}
    tools = [
        _tool(
            client,
            "slack_channel",
            "Reads the newest messages of a channel; without one, of this, and says which it is.",
            {"channel": CHANNEL},
            (),
            _channel,
        ),
        _tool(
            client,
            "slack_thread",
            "Reads a thread: ts is that of its first message. Without a channel, in this one.",
            {"channel": CHANNEL, "ts": TS},
            ("ts",),
            _thread,
        ),
    ]
    if client.search_token:
        about = "Searches messages in the channels that the person who asks is in, in Slack's own query language."
        tools.append(_tool(client, "slack_search", about, {"query": query}, ("query",), _search))
    return tools


def _tool(
    client: SlackClient,
    name: str,
    about: str,
    takes: Mapping[str, JsonObject],
    required: tuple[str, ...],
    work: Callable[[Slack, Use], Awaitable[str]],
) -> Tool:
    async def read(use: Use) -> str:
        return await client.run(use, work)

    return ReadTool(ToolSpec(name, about, parameters(takes, required), "read"), read, READ_LIMITS, CONNECTION)


async def _channel(slack: Slack, use: Use) -> str:
    channel = await slack.seen(use)
    found, more = await slack.messages(
        lambda cursor: slack.web.conversations_history(channel=channel, cursor=cursor, limit=PAGE_MAX)
    )
    return f"channel: {channel}\n{_listed(map(_line, reversed(found)), more, 'older')}"


async def _thread(slack: Slack, use: Use) -> str:
    channel, ts = await slack.seen(use), use.text("ts")
    found, more = await slack.messages(
        lambda cursor: slack.web.conversations_replies(channel=channel, ts=ts, cursor=cursor, limit=PAGE_MAX)
    )
    return _listed(map(_line, found), more, "newer")


async def _search(slack: Slack, use: Use) -> str:
    """As the person sees it whose token searches, and of that what the asking person sees. Raises ``ToolError``."""
    await slack.seen(use)
    if slack.searching is None or use.where is None:
        raise NotConnected("no token to search with", "{0} cannot be searched from here.", SERVICE)
    if thing(await slack.searching.auth_test())["team_id"] != use.where.workspace:
        # It sees one workspace, and whoever asks in another is nobody there.
        raise NotConnected("a token of another workspace", "{0} cannot be searched from this workspace.", SERVICE)
    found: list[Thing] = []
    more = True
    for number in range(1, SEARCHED_PAGES_MAX + 1):
        page = thing(await slack.searching.search_messages(query=use.text("query"), count=100, page=number))["messages"]
        found += page["matches"]
        more = number < page["paging"]["pages"]
        if not more:
            break
    channels = list(dict.fromkeys(str(each["channel"]["id"]) for each in found))[:SEARCHED_CHANNELS_MAX]
    here = use.where.channel
    seen = {each for each in channels if each == here or await slack.is_member(use.where.person, each)}
    kept = [each for each in found if each["channel"]["id"] in seen]
    return _listed((f"{each['channel']['id']} {_line(each)}" for each in kept[:LISTED_MAX]), more, "older")


def _line(message: Thing) -> str:
    who = message.get("user") or message.get("bot_id") or message.get("username") or "somebody"
    text = str(message.get("text") or "").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    files = "".join(f" [file: {each.get('name') or each['id']}]" for each in message.get("files") or ())
    replies = f" ({message['reply_count']} replies)" if message.get("reply_count") else ""
    return f"{message['ts']} {who}: {text}{files}{replies}"


def _listed(lines: Iterable[str], more: bool, beyond: str) -> str:
    text = "\n".join(lines) or "Nothing was found."
    return f"{text}\n[There are {beyond} ones than these.]" if more else text
