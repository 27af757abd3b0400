"""What a person may see of the keys that answer them. Keys themselves never stand in a message."""

from bot.commands.base import Asking, Command, Desk, Result, no_arguments

HOW = (
    "A key is never written into a message: whoever runs this CarPool adds it with `carpool keys add PROVIDER`, and with "
    "`--of PLATFORM WORKSPACE [PERSON]` for a workspace or one person alone."
)
WRITTEN = (
    "If there was a key in that message, revoke it at its provider and make a new one: it has been seen here, and it is "
    f"recorded. {HOW}"
)
_WHOSE = ("everybody here", "this workspace", "you alone")


async def _keys(asking: Asking, desk: Desk) -> Result:
    if asking.arguments:
        return Result(WRITTEN)
    shown = await desk.connections.shown(asking.scope)
    lines = [
        f"- {key.provider}, for {_WHOSE[key.owner.count('/')]}"
        + ("" if key.masked else ": it cannot be opened, so remove it and add it again")
        for key in shown
    ]
    return Result(
        "\n".join([*(["Keys that answer you here, the nearest first:", "", *lines, ""] if lines else []), HOW])
    )


KEYS = Command("keys", "keys", "shows whose keys answer you", _keys, no_arguments, private=True, home="Keys")
