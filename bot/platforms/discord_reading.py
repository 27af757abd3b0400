"""discord.py's messages and interactions as what a person said: who, where, how they stand there, and what came along."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.platforms.base import Address, Attached, Incoming, Standing
from bot.platforms.discord_wire import ASK, ASK_ABOUT, DISCORD, SAY, Mode, Payload, Way, clean, readable

if TYPE_CHECKING:
    from discord import Interaction, Member, Message, Thread
    from discord.abc import Snowflake

UNKNOWN_TYPE = "application/octet-stream"


def read_message(message: "Message", me: int, reads_all: bool) -> Incoming | None:
    """None for what is not meant for us: bots' messages, those of Discord itself, talk of others.

    ``reads_all`` says that the text of every message is given to us: then a thread of ours needs no mention.
    """
    from discord import MessageType

    if message.author.bot or message.webhook_id is not None or message.author.id == me:
        return None
    if message.type not in (MessageType.default, MessageType.reply):
        return None
    direct = message.guild is None
    mentioned = any(user.id == me for user in message.mentions)
    replied = _replied_to(message)
    followed = reads_all and _is_ours(message.channel, me)
    if not (direct or mentioned or replied == me or followed):
        return None
    names = {str(user.id): user.display_name for user in message.mentions}
    names |= {str(channel.id): channel.name for channel in message.channel_mentions}
    text = readable(message.content, me, names)
    attached = tuple(
        Attached(
            item.filename,
            item.content_type or UNKNOWN_TYPE,
            item.size,
            f"{message.channel.id}/{message.id}/{item.id}",
        )
        for item in message.attachments
    )
    if not (text or attached or direct or mentioned):
        return None  # without the Message Content intent Discord keeps the text to itself
    address = _address(message, me, replied)
    # Others may have spoken before: in a thread, or in what this one replies to.
    heard_before = not direct and (_thread(message.channel) is not None or replied not in (0, me))
    return Incoming(
        address,
        str(message.id),
        text,
        bare_commands=True,
        attached=attached,
        in_thread=heard_before,
        standing=standing_of(message),
    )


def _address(message: "Message", me: int, replied: int) -> Address:
    person = str(message.author.id)
    if message.guild is None:
        return Address(DISCORD, own_workspace(person), str(message.channel.id), "", person)
    workspace, thread = str(message.guild.id), _thread(message.channel)
    if thread is not None:
        return Address(DISCORD, workspace, str(thread.parent_id), str(thread.id), person)
    channel = str(message.channel.id)
    if replied != me and _may_have_threads(message):
        # Discord gives a thread the id of the message that it begins with.
        return Address(DISCORD, workspace, channel, str(message.id), person)
    return Address(DISCORD, workspace, channel, "", person, str(Way(message=str(message.id))))


def own_workspace(person: str) -> str:
    """Of a person who talks to the bot directly, or has installed it for themselves: theirs alone."""
    return f"user:{person}"


def standing_of(message: "Message") -> Standing:
    from discord import Member

    if message.guild is None:
        return "owner"  # of the workspace that is theirs alone
    if message.author.id == message.guild.owner_id:
        return "owner"
    # A message that was read later names its author without roles.
    return standing_of_member(message.author) if isinstance(message.author, Member) else "member"


def standing_of_member(member: "Member") -> Standing:
    if member.id == member.guild.owner_id:
        return "owner"
    permissions = member.guild_permissions
    return "admin" if permissions.administrator or permissions.manage_guild else "member"


def _replied_to(message: "Message") -> int:
    """Whose message this one replies to; 0 where that is not known."""
    from discord import Message

    reference = message.reference
    resolved = None if reference is None else reference.resolved
    return resolved.author.id if isinstance(resolved, Message) else 0


def _thread(channel: "Snowflake") -> "Thread | None":
    from discord import Thread

    return channel if isinstance(channel, Thread) else None


def _is_ours(channel: "Snowflake", me: int) -> bool:
    thread = _thread(channel)
    return thread is not None and thread.owner_id == me


def _may_have_threads(message: "Message") -> bool:
    from discord import TextChannel

    if message.guild is None or not isinstance(message.channel, TextChannel):
        return False
    mine = message.channel.permissions_for(message.guild.me)
    return mine.create_public_threads and mine.send_messages_in_threads


@dataclass(frozen=True, slots=True)
class Said:
    """What an interaction comes to: ``text`` as if it had been written, and what came along with it."""

    text: str
    attached: tuple[Attached, ...] = ()
    in_thread: bool = False


def read_command(interaction: "Interaction[Any]") -> Said:
    """A slash command or an entry of a message's menu."""
    data: Mapping[str, Any] = interaction.data or {}
    options = {str(option["name"]): option.get("value") for option in data.get("options") or ()}
    resolved = data.get("resolved") or {}
    if data.get("name") == ASK_ABOUT:
        return _about((resolved.get("messages") or {}).get(str(data.get("target_id"))) or {})
    if data.get("name") == ASK:
        file = (resolved.get("attachments") or {}).get(str(options.get("file")))
        return Said(str(options.get("question") or ""), () if file is None else (_by_address(file),))
    words = [str(value) for value in options.values() if value is not None]
    return Said(" ".join([f"/{data.get('name')}", *words]).strip())


def _about(message: Payload) -> Said:
    author = message.get("author") or {}
    name = author.get("global_name") or author.get("username") or "somebody"
    quoted = "\n".join(f"> {line}" for line in clean(str(message.get("content") or "")).splitlines())
    attached = tuple(_by_address(item) for item in message.get("attachments") or ())
    return Said(f"What is there to say about this message by {name}?\n\n{quoted}".strip(), attached)


def _by_address(attachment: Payload) -> Attached:
    """An attachment that stands in no message of ours to read: by its address, which is good for a day."""
    return Attached(
        str(attachment["filename"]),
        str(attachment.get("content_type") or UNKNOWN_TYPE),
        int(attachment["size"]),
        str(attachment["url"]),
    )


def read_press(custom_id: str) -> str:
    """What pressing a button says; empty where it is none of ours."""
    return f"/{custom_id.removeprefix(SAY)}" if custom_id.startswith(SAY) else ""


def address_of(interaction: "Interaction[Any]", mode: Mode) -> Address:
    """Where an interaction is answered: in the thread or the channel in which it was made."""
    person, channel = str(interaction.user.id), str(interaction.channel_id)
    reply_url = str(Way(application=str(interaction.application_id), token=interaction.token, mode=mode))
    guild = None if _is_theirs_alone(interaction) else interaction.guild_id
    workspace = own_workspace(person) if guild is None else str(guild)
    thread = _thread(interaction.channel) if interaction.channel is not None else None
    if thread is not None:
        return Address(DISCORD, workspace, str(thread.parent_id), str(thread.id), person, reply_url)
    return Address(DISCORD, workspace, channel, "", person, reply_url)


def standing_of_interaction(interaction: "Interaction[Any]") -> Standing:
    if _is_theirs_alone(interaction) or interaction.guild_id is None:
        return "owner"
    if interaction.guild is not None and interaction.guild.owner_id == interaction.user.id:
        return "owner"
    permissions = interaction.permissions
    return "admin" if permissions.administrator or permissions.manage_guild else "member"


def _is_theirs_alone(interaction: "Interaction[Any]") -> bool:
    """Whether the bot is there only because this person has installed it for themselves."""
    return interaction.guild_id is None or (
        interaction.is_user_integration() and not interaction.is_guild_integration()
    )
