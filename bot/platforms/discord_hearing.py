"""What is read in Discord for a turn: what others said before, and where the files lie that came along."""

from collections.abc import Sequence

from bot.platforms.base import Address, Attached, Overheard, PlatformError
from bot.platforms.discord_errors import DiscordRefused
from bot.platforms.discord_places import Call
from bot.platforms.discord_wire import Payload, readable

THREAD_BEGINS = 21
"""The type of that message. docs.discord.com, \"Message Types\"."""


async def overheard_in(call: Call, me: str, to: Address, before: str, count_max: int) -> Sequence[Overheard]:
    """See ``Platform.overhear``. ``me`` is the bot's user id."""
    if not before.isdigit():
        return ()
    query = {"before": before, "limit": str(max(1, min(count_max, 100)))}
    # A message that begins a thread stands in the channel itself, behind what it is about.
    ids = {"channel_id": to.channel if to.thread in ("", before) else to.thread}
    try:
        page = await call("GET", "/channels/{channel_id}/messages", ids, query=query)
    except DiscordRefused as error:
        if error.retry_after_s is not None:
            raise
        return ()
    heard = []
    for message in reversed(page):
        # A thread begins with a pointer to the message that it is about, which stands in the channel.
        message = message.get("referenced_message") or message if message.get("type") == THREAD_BEGINS else message
        author = message.get("author") or {}
        names = {str(person["id"]): _display(person) for person in message.get("mentions") or ()}
        text = readable(str(message.get("content") or ""), int(me or 0), names)
        if text and str(author.get("id")) != me:
            heard.append(Overheard(_display(author), text))
    return heard


async def address_of_file(call: Call, attached: Attached) -> tuple[str, int]:
    """Where a file is, and how long. Discord's addresses of files end after a day, so that of a message is asked for."""
    if attached.reference.startswith("http"):
        return attached.reference, attached.size_bytes
    names = attached.reference.split("/")
    if len(names) != 3 or not all(name.isdecimal() for name in names):
        raise PlatformError("Discord: a file of which nobody says where it is", None)
    channel, message, wanted = names
    ids = {"channel_id": channel, "message_id": message}
    found = await call("GET", "/channels/{channel_id}/messages/{message_id}", ids)
    for item in found.get("attachments") or ():
        if str(item.get("id")) == wanted:
            return str(item["url"]), int(item["size"])
    raise PlatformError("Discord: a file that is not there any more", None)


def _display(person: Payload) -> str:
    return str(person.get("global_name") or person.get("username") or person.get("id") or "somebody")
