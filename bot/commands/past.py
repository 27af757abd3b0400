"""Commands about what was said before."""

from collections.abc import Sequence

from bot.commands.base import Asking, Command, Desk, Result
from bot.payloads import decode_asked, decode_said
from bot.platforms.base import Talk
from bot.sentences import Sentences
from ledger.actions import MessageReceived, ReplyPrepared
from ledger.entry import Scope
from ledger.pseudonyms import ConversationId
from ledger.store import Recorded, Store

EXCHANGES_DEFAULT = 10
EXCHANGES_MAX = 100
ERASED_TEXT = "(erased)"
TALKS_SHOWN = 5
TURNS_LOOKED_AT_MAX = 40
ASKED_CHARACTERS_MAX = 80
ANYWHERE = ConversationId("")


async def _history(asking: Asking, desk: Desk) -> Result:
    wanted = asking.arguments or str(EXCHANGES_DEFAULT)
    # The length first: Python refuses to make a number of thousands of digits.
    if not (_is_count(wanted) and len(wanted) <= len(str(EXCHANGES_MAX)) and 1 <= int(wanted) <= EXCHANGES_MAX):
        return Result(desk.say("`/history` takes a number from 1 to {0}.", EXCHANGES_MAX))
    said = await desk.store.said_in(asking.scope.conversation, asking.seq, 2 * int(wanted))
    lines = [line for recorded in said if (line := _line(recorded, desk.say))]
    return Result("\n\n".join(lines) if lines else desk.say("Nothing was said here before."))


def _line(recorded: Recorded, say: Sentences) -> str:
    action, body = recorded.entry.action, recorded.body
    match action:
        case MessageReceived(kind="message"):
            return say("**You:** {0}", say(ERASED_TEXT) if body is None else decode_asked(body).text)
        case ReplyPrepared(kind="answer" | "notice"):
            return say("**CarPool:** {0}", say(ERASED_TEXT) if body is None else decode_said(body).text)
        case _:
            return ""


def _is_count(arguments: str) -> bool:
    return not arguments or (arguments.isascii() and arguments.isdigit())


HISTORY = Command("history", "history [N]", "shows what was said here before", _history, _is_count)


def questions(said: Sequence[Recorded]) -> list[str]:
    """What a person asked, in order, for the prompt's own history."""
    return [
        decode_asked(recorded.body).text
        for recorded in said
        if recorded.body is not None and isinstance(recorded.entry.action, MessageReceived)
    ]


async def talks(store: Store, scope: Scope, before: int) -> tuple[Talk, ...]:
    """The conversations that a person had last, the newest first. What is erased, or was asked by another, is not among them.

    Raises ``StoreFailed``.
    """
    found: dict[tuple[str, str], Talk] = {}
    for _ in range(TURNS_LOOKED_AT_MAX):
        turn = await store.last_turn(ANYWHERE, scope.actor, before)
        if turn is None or len(found) == TALKS_SHOWN:
            break
        first = (await store.entries_of(turn))[0]
        before, asked = first.entry.seq, None if first.body is None else decode_asked(first.body)
        if asked is not None and asked.text.strip():
            where = asked.address.channel, asked.address.thread
            found.setdefault(where, Talk(asked.address, _in_a_line(asked.text)))
    return tuple(found.values())


def _in_a_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= ASKED_CHARACTERS_MAX else f"{line[: ASKED_CHARACTERS_MAX - 1].rstrip()}…"
