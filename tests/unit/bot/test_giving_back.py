"""What comes back of a turn whose answer could not be brought to anybody."""

from bot.billing import TOOLS
from bot.giving_back import taken_back
from bot.listening import Heard
from bot.story import tool_hold
from bot.turn import answered_of
from ledger.accounts import RC, USAGE, Account, Posting
from ledger.actions import Action, ToolCalled
from ledger.credit_actions import CreditReversed, CreditSettled
from ledger.entry import Entry, Scope
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId

TURN = TurnId("t-1")
SCOPE = Scope(WorkspaceId("w-1"), ActorId("a-1"), ConversationId("c-1"), TURN)
CHARGED = (Posting(USAGE, RC, -1), Posting(Account("L:ws:w-1:held"), RC, 1))


def entry(seq: int, action: Action) -> Entry:
    postings = CHARGED if isinstance(action, CreditSettled) else ()
    return Entry(seq, 0, 0, action, TURN, SCOPE.actor, SCOPE.workspace, str(seq), None, "", postings)


def test_what_nobody_saw_comes_back_and_what_a_tool_changed_or_what_led_to_what_was_seen_does_not() -> None:
    models = [CreditSettled(f"{TURN}-{attempt}", 1, "p", 0) for attempt in (1, 2, 3)]
    tools = [CreditSettled(tool_hold(TURN, place), 1, TOOLS, 0) for place in (1, 2, 3)]
    answers = [answered_of(attempt, Heard(["x"], outcome="answered", shown=attempt == 2)) for attempt in (1, 2, 3)]
    uses = [ToolCalled(1, "a", "look", "read"), ToolCalled(3, "b", "look", "read"), ToolCalled(3, "c", "do", "write")]
    actions: list[Action] = [*models, *tools, *answers, *uses]
    entries = [entry(seq, action) for seq, action in enumerate(actions)]
    back = [draft.action for draft in taken_back(SCOPE, entries)]
    assert [entries[action.entry].action for action in back if isinstance(action, CreditReversed)] == [
        models[2],
        tools[1],
    ]
