"""The table of commands, and how one is recognised in a message."""

import re
from collections.abc import Callable

from bot.commands.approving import ALLOW, APPROVE, REFUSE
from bot.commands.base import Asking, Command, Desk, Result, no_arguments
from bot.commands.billing import BILLING
from bot.commands.connect import CONNECT, DISCONNECT
from bot.commands.explaining import AGAIN, BAD, GOOD, RECEIPT, WHY
from bot.commands.keys import KEYS
from bot.commands.past import HISTORY
from bot.commands.settings import SETTINGS
from bot.commands.steering import AUTOMATIC, MODEL, STOP
from bot.commands.undoing import UNDO
from bot.lucidia.catalog import Catalog
from bot.plan import models_of_plan
from bot.platforms.base import Address
from bot.sentences import Sentences
from ledger.entry import HOUSE, Scope

PREFIXES = ("/", "!")
ONLY_THERE = {"terminal": "- `/quit` leaves, and what was said stays"}
"""What a platform does itself, and so is no command of the house."""
_UNKNOWN = re.compile(r"/[A-Za-z][A-Za-z-]{0,30}")


async def _help(asking: Asking, desk: Desk) -> Result:
    wanted = asking.arguments.removeprefix("/").casefold()
    if (command := COMMANDS.get(wanted)) is not None:
        return Result(_line(command, desk.say))
    lines = [_line(command, desk.say) for command in COMMANDS.values()]
    if (there := ONLY_THERE.get(asking.address.platform)) is not None:
        lines.append(desk.say(there))
    first = (
        desk.say("There is no command `/{0}`. What there is:", wanted)
        if wanted
        else desk.say("Write to me as you would to a person. Besides:")
    )
    return Result("\n".join([first, "", *lines]))


def _line(command: Command, say: Sentences) -> str:
    return f"- `/{command.usage}` {say(command.summary)}"


HELP = Command("help", "help [COMMAND]", "shows what I can be told", _help, no_arguments)

COMMANDS = {
    command.name: command
    for command in (
        *(HELP, MODEL, WHY, RECEIPT, AGAIN, GOOD, BAD, HISTORY, KEYS, CONNECT, DISCONNECT, BILLING, SETTINGS),
        *(APPROVE, REFUSE, ALLOW, UNDO, STOP),
    )
}


def recognise(text: str, *, bare: bool) -> str:
    """The invocation (``name arguments``) that a message is, or nothing where it is a message to a model.

    With a slash or an exclamation mark any first word that is a command's name makes it one. Without, where ``bare`` allows
    it, the whole text has to fit: "help" is a command, "help me with this" is not. A slash before a single word that is none
    asks for help about it.
    """
    stripped = text.strip()
    prefixed = stripped.startswith(PREFIXES)
    name, _, arguments = (stripped[1:] if prefixed else stripped).partition(" ")
    command = COMMANDS.get(name.casefold())
    arguments = arguments.strip()
    if command is None and _UNKNOWN.fullmatch(stripped.partition(" ")[0]):
        # Most likely a slip of the pen: a model would make something up about it.
        return f"{HELP.name} {name.casefold()}"
    if command is None or not (prefixed or (bare and command.bare(arguments))):
        return ""
    return f"{command.name} {arguments}".strip()


def is_private(invocation: str) -> bool:
    """Whether what this comes to is for the asker alone."""
    command = COMMANDS.get(invocation.partition(" ")[0])
    return command is not None and command.private


def completions(text: str, catalog: Catalog) -> tuple[str, ...]:
    """What a line that begins like this may be meant to be, whole: the commands, and behind ``/model`` the models."""
    name, space, begun = text.partition(" ")
    if not text.startswith(PREFIXES):
        return ()
    if not space:
        return tuple(f"{name[0]}{command}" for command in COMMANDS if command.startswith(name[1:].casefold()))
    if name[1:].casefold() != MODEL.name:
        return ()
    names = (AUTOMATIC, *(card.label for card in catalog.cards))
    return tuple(f"{name} {item}" for item in names if begun.casefold() in item.casefold())


async def completing(desk: Desk, address: Address) -> Callable[[str], tuple[str, ...]]:
    """The completions for whoever is there: among the models are those of keys that were brought, and none that the plan of the
    workspace leaves out. Raises ``StoreFailed``."""
    workspace = desk.pseudonyms.workspace(address.platform, address.workspace)
    actor = desk.pseudonyms.actor(address.platform, address.workspace, address.person)
    connected = await desk.connections.of(Scope(workspace, actor, HOUSE.conversation, HOUSE.turn))
    plan = await models_of_plan(desk.store, desk.billing.plans, workspace, connected.own)
    cards = (card for card in connected.catalog.cards if plan is None or plan.allows(card))
    offered = Catalog(tuple(cards))
    return lambda line: completions(line, offered)


async def run_command(name: str, asking: Asking, desk: Desk) -> Result:
    command = COMMANDS.get(name)
    if command is None:  # recorded by a version that had it
        return Result(desk.say("There is no command `{0}` any more. `/help` lists what there is.", name))
    return await command.run(asking, desk)
