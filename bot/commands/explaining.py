"""Commands that explain the last answer: why this model, and what is recorded of it."""

from collections.abc import Mapping

from adapters.messages import File
from bot.commands.base import Asking, Command, Desk, Result, a_turn, names_a_turn
from bot.lucidia.catalog import Catalog
from bot.lucidia.costs import cost_of_call
from bot.sentences import Sentences
from ledger.actions import (
    CallOutcome,
    Candidate,
    FeedbackGiven,
    MessageReceived,
    ModelAnswered,
    ModelCalled,
    ReplyPrepared,
    RouteChosen,
    Verdict,
)
from ledger.entry import hash_text
from ledger.money import Money, rc_text
from ledger.pseudonyms import TurnId
from ledger.store import Recorded

NOTHING_YET = "There is no answer yet in this conversation."
NOTED_GOOD = "Noted, thank you: that answer was good."
NOTED_BAD = "Noted, thank you: that answer was not good. `/again` asks once more."


async def asked_about(asking: Asking, desk: Desk) -> tuple[Recorded, ...]:
    """The entries of the turn that the arguments name, or of the last one; none where it is no business of the asker's."""
    named = TurnId(asking.arguments) if asking.arguments else None
    turn = named or await desk.store.last_turn(asking.scope.conversation, asking.scope.actor, asking.seq)
    entries = () if turn is None else await desk.store.entries_of(turn)
    first = entries[0].entry if entries else None
    if first is None or first.workspace != asking.scope.workspace or not isinstance(first.action, MessageReceived):
        return ()
    heard = first.action.conversation == asking.scope.conversation or first.actor == asking.scope.actor
    return entries if heard and first.action.kind == "message" else ()


async def _why(asking: Asking, desk: Desk) -> Result:
    entries = await asked_about(asking, desk)
    actions = [recorded.entry.action for recorded in entries]
    decision = next((action for action in actions if isinstance(action, RouteChosen)), None)
    if decision is None:
        return Result(desk.say(NOTHING_YET))
    lines = [desk.say("Lucidia's reason: {0}.", decision.reason)]
    if len(decision.candidates) > 1:
        lines += ["", desk.say("In this order:"), ""]
        lines += [
            f"{place}. {_candidate(candidate, desk.say)}"
            for place, candidate in enumerate(decision.candidates, start=1)
        ]
    catalog = (await desk.connections.of(asking.scope)).catalog
    called = {action.attempt: action for action in actions if isinstance(action, ModelCalled)}
    for answered in (action for action in actions if isinstance(action, ModelAnswered)):
        lines += ["", _attempt(called[answered.attempt], answered, catalog, desk.say)]
    return Result("\n".join(lines))


def _candidate(candidate: Candidate, say: Sentences) -> str:
    name, cost = f"`{candidate.provider}/{candidate.model}`", candidate.estimated_cost
    if cost is None:
        return say("{0}, price not known", name)
    return say("{0}, free", name) if cost == 0 else say("{0}, estimated at {1} at the most", name, rc_text(Money(cost)))


OUTCOMES: Mapping[CallOutcome, str] = {
    "answered": "answered",
    "failed": "failed",
    "stopped": "stopped",
    "timed_out": "timed out",
}


def _attempt(called: ModelCalled, answered: ModelAnswered, catalog: Catalog, say: Sentences) -> str:
    name = f"`{called.provider}/{called.model}`"
    seconds = f"{answered.took_us / 1_000_000:.1f} s"
    if answered.outcome != "answered":
        error = f" ({answered.error.replace('_', ' ')})" if answered.error else ""
        return say("{0}: {1}{2} after {3}.", name, say(OUTCOMES[answered.outcome]), error, seconds)
    if not answered.usage_known:
        return say("{0} answered in {1}; it did not say how many tokens that took.", name, seconds)
    cost = cost_of_call(called, answered, catalog)
    price = say("price not known") if cost is None else say("free") if cost == 0 else rc_text(cost)
    tokens = say("{0:,} tokens in, {1:,} out", answered.input_tokens, answered.output_tokens)
    return say("{0} answered in {1}: {2}; {3}.", name, seconds, tokens, price)


async def _receipt(asking: Asking, desk: Desk) -> Result:
    entries = await asked_about(asking, desk)
    if not entries:
        return Result(desk.say(NOTHING_YET))
    turn = entries[0].entry.turn
    reply = [recorded for recorded in entries if isinstance(recorded.entry.action, ReplyPrepared)][-1:]
    receipt = await desk.receipt((reply or list(entries))[-1])
    lines = [
        f"{recorded.entry.seq:>8}  {recorded.entry.action.name:<17} {recorded.hash.hex()[:32]}…" for recorded in entries
    ]
    files = () if receipt is None else (File(f"{turn}.receipt", "text/plain", receipt),)
    return Result(
        "\n".join(
            [
                desk.say("What RoadChain recorded of turn `{0}`:", turn),
                "",
                "```",
                *lines,
                "```",
                "",
                desk.say("The last hash in full: `{0}`", hash_text(entries[-1].hash)),
                "",
                *_standing(turn, receipt, desk.say),
            ]
        ),
        files=files,
    )


def _standing(turn: str, receipt: bytes | None, say: Sentences) -> list[str]:
    """How much can be proven: *recorded* on disk, *receipted* under a signed checkpoint, which anybody can verify."""
    if receipt is None:
        return [
            say(
                "*Recorded*: each entry is on disk and chained to the one before it. A signed checkpoint does "
                "not cover it yet: ask for the receipt again in a moment."
            )
        ]
    return [
        say(
            "*Recorded*: each entry is on disk and chained to the one before it. *Receipted*: a signed "
            "checkpoint covers it. This is the receipt; keep it as a file, {0}.receipt say, and anybody who "
            "has the public key can verify it offline: `python verify.py --receipt {0}.receipt --key VKEY`. "
            "(`carpool ledger receipt {0}` prints it with its lines whole.)",
            turn,
        ),
        "",
        "```",
        receipt.decode().rstrip("\n"),
        "```",
    ]


async def _good(asking: Asking, desk: Desk) -> Result:
    return await _judge(asking, desk, "good", NOTED_GOOD)


async def _bad(asking: Asking, desk: Desk) -> Result:
    return await _judge(asking, desk, "bad", NOTED_BAD)


async def _judge(asking: Asking, desk: Desk, verdict: Verdict, thanks: str) -> Result:
    entries = await asked_about(asking, desk)
    if not entries:
        return Result(desk.say(NOTHING_YET))
    return Result(desk.say(thanks), (FeedbackGiven(entries[0].entry.turn, verdict),))


async def _again(asking: Asking, desk: Desk) -> Result:
    """Where there was a question, the intake has asked it again, and this is not run."""
    return Result(desk.say("There is no question here that could be asked again."))


WHY = Command("why", "why", "says why this model gave the last answer", _why, a_turn)
RECEIPT = Command("receipt", "receipt", "shows what RoadChain recorded of the last answer", _receipt, a_turn)
AGAIN = Command("again", "again", "asks your last question once more", _again, a_turn)
GOOD = Command("good", "good", "says that the last answer was good", _good, names_a_turn, private=True)
BAD = Command("bad", "bad", "says that the last answer was not good", _bad, names_a_turn, private=True)
