"""What a person is told who asks nothing just now, as the two entries of a turn that has its reply already. Pure.

It is delivered as any reply is: once, whatever happens to this process, by whoever has the platform.
"""

from bot.payloads import Said, encode_asked, encode_said
from bot.platforms.base import Address, Incoming
from ledger.actions import MessageReceived, ReplyPrepared
from ledger.entry import Draft, Scope
from ledger.pseudonyms import Pseudonyms


def notice(
    pseudonyms: Pseudonyms, to: Address, scope: Scope, event: str, command: str, text: str
) -> tuple[Draft, Draft]:
    """``scope`` is the person's and where they are told; its turn is that of ``event``. In the name of ``command``, whose replies
    are private where that is so."""
    turn = pseudonyms.turn(to.platform, to.workspace, event)
    own = Scope(scope.workspace, scope.actor, scope.conversation, turn)
    received = MessageReceived(to.platform, scope.conversation, "command", "")
    reply = ReplyPrepared(1, "command", "command")
    return (
        Draft(received, own, turn, encode_asked(Incoming(to, event, ""), command, False)),
        Draft(reply, own, f"{turn}/{reply.name}/1", encode_said(Said(text))),
    )
