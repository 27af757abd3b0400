"""The story of a turn: a fold over its own entries, from which the next step is read.

Pure. ``inherited`` marks what stood in the journal when this run of the turn began: an effect that was begun then, and has
no result, was cut off by a crash and is not simply done again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from adapters.messages import File, Image, Message, ToolCall, ToolResult
from bot.billing import TOOLS
from bot.payloads import ERASED, Asked, Said, decode_asked, decode_message, decode_said
from ledger.actions import (
    Action,
    ApprovalAsked,
    ApprovalExpired,
    ApprovalGiven,
    ApprovalRefused,
    ApprovalShown,
    Candidate,
    CommandRun,
    ContextRead,
    MessageReceived,
    MessageWithdrawn,
    ModelAnswered,
    ModelCalled,
    ReplyPrepared,
    ReplySent,
    RouteChosen,
    ToolAnswered,
    ToolCalled,
    TurnFinished,
    TurnOutcome,
)
from ledger.credit_actions import CreditReserved, CreditSettled, CreditVoided
from ledger.entry import Scope
from ledger.pseudonyms import TurnId

KEYS = ("refused_key", "not_configured")
"""Errors that are those of a provider, whichever of its models was asked."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One entry of the turn, with its payload. ``body`` is None where it has none, or it was erased."""

    action: Action
    seq: int
    body: bytes | None
    inherited: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call of a model. ``answered`` is None while it is under way, or where a crash cut it off."""

    called: ModelCalled
    inherited: bool
    answered: ModelAnswered | None = None
    said: Message | None = None

    @property
    def heard(self) -> bool:
        """Whether what it said is what the person gets: no other model is asked."""
        return self.answered is not None and (self.answered.outcome != "failed" or self.answered.shown)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        if self.answered is None or self.answered.outcome != "answered" or self.said is None:
            return ()
        return tuple(part for part in self.said.parts if isinstance(part, ToolCall))


@dataclass(frozen=True, slots=True)
class ToolUse:
    """``result`` is None while the tool is at work, or where a crash cut it off."""

    called: ToolCalled
    inherited: bool
    result: ToolResult | None = None


Decision: TypeAlias = Literal["", "given", "refused", "superseded", "expired"]


@dataclass(frozen=True, slots=True)
class Approval:
    """A question to a person. ``decision`` is empty while they think. ``inherited``: whether it was shown is to be looked for."""

    asked: ApprovalAsked
    said: Said
    inherited: bool
    shown: bool = False
    decision: Decision = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    action: ReplyPrepared
    said: Said
    inherited: bool
    sent: bool = False


Step: TypeAlias = Literal[
    "run_command",
    "read_context",
    "route",
    "call_model",
    "use_tools",
    "prepare_reply",
    "deliver_reply",
    "finish",
    "done",
]


@dataclass(frozen=True, slots=True)
class Story:
    scope: Scope
    received: MessageReceived
    seq: int
    asked: Asked
    command: CommandRun | None = None
    context: Message | None = None
    withdrawn: bool = False
    route: RouteChosen | None = None
    attempts: tuple[Attempt, ...] = ()
    tools: tuple[ToolUse, ...] = ()
    approvals: tuple[Approval, ...] = ()
    hold: CreditReserved | None = None
    tool_holds: tuple[CreditReserved, ...] = ()
    charged: int | None = None
    exceeded: bool = False
    spent: int = 0
    """What its settled calls and uses count towards the limits, whoever's key paid for it."""

    reply: Prepared | None = None
    outcome: TurnOutcome | None = None

    def has_read_others(self, own: frozenset[str]) -> bool:
        """Whether words of others were read for it: of a thread, of files, of a tool that is none of ``own``."""
        heard = self.context is not None and bool(self.context.parts)
        sent = any(isinstance(part, File | Image) for part in self.asked.parts)
        return heard or sent or any(use.result is not None and use.called.tool not in own for use in self.tools)

    @property
    def question(self) -> Message:
        """What is asked: what was read for it, and what the person wrote."""
        before = () if self.context is None else self.context.parts
        return Message("user", (*before, *self.asked.parts))

    @property
    def interim(self) -> tuple[str, ...]:
        """What models said before they used tools: it stands before the answer, as the person saw it come."""
        said = (
            attempt.said.text.strip() for attempt in self.attempts if attempt.tool_calls and attempt.said is not None
        )
        return tuple(text for text in said if text)

    @property
    def last(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None

    @property
    def lost(self) -> Attempt | None:
        """The call that was under way when the process died: what it answered is not known."""
        last = self.last
        return last if last is not None and last.answered is None and last.inherited else None

    @property
    def tools_open(self) -> tuple[ToolCall, ...]:
        """What the model asked for last and has no result yet."""
        answered = {(use.called.round, use.called.call) for use in self.tools if use.result is not None}
        last = self.last
        return (
            ()
            if last is None
            else tuple(call for call in last.tool_calls if (last.called.attempt, call.id) not in answered)
        )

    def use_of(self, call: ToolCall) -> ToolUse | None:
        """What became of a call of the last round; None while it was not begun."""
        round_ = self.attempts[-1].called.attempt
        return next((use for use in self.tools if (use.called.round, use.called.call) == (round_, call.id)), None)

    def hold_of(self, call: ToolCall) -> CreditReserved | None:
        """What is held for the use of a call of the last round; None where that is nothing, or nothing any more."""
        round_ = self.attempts[-1].called.attempt
        for place, use in enumerate(self.tools, 1):
            if (use.called.round, use.called.call) == (round_, call.id):
                name = tool_hold(self.scope.turn, place)
                return next((hold for hold in self.tool_holds if hold.hold == name), None)
        return None

    @property
    def holds(self) -> tuple[CreditReserved, ...]:
        """All that is held for this turn."""
        return (*(() if self.hold is None else (self.hold,)), *self.tool_holds)

    def approval_of(self, call: ToolCall) -> Approval | None:
        round_ = self.attempts[-1].called.attempt
        return next((one for one in self.approvals if (one.asked.round, one.asked.call) == (round_, call.id)), None)

    def results_of(self, attempt: Attempt) -> tuple[ToolResult, ...]:
        return tuple(
            use.result for use in self.tools if use.called.round == attempt.called.attempt and use.result is not None
        )

    @property
    def tool_rounds(self) -> tuple[Message, ...]:
        """What models asked of tools in this turn, and what they got, in order."""
        asked = [(attempt.said, attempt) for attempt in self.attempts if attempt.tool_calls]
        return tuple(
            message
            for said, attempt in asked
            if said is not None
            for message in (said, Message("tool", self.results_of(attempt)))
        )

    @property
    def rounds(self) -> int:
        return sum(1 for attempt in self.attempts if attempt.tool_calls)

    @property
    def next_candidate(self) -> int | None:
        """The candidate to ask next: the same after tools, the one behind it after a failure; None where none is left.

        After a key was refused, one of another provider: no other model takes that key either.
        """
        if self.route is None:
            return None
        last = self.last
        index = 0 if last is None else last.called.candidate + (0 if last.tool_calls else 1)
        shut = {
            attempt.called.provider for attempt in self.attempts if attempt.answered and attempt.answered.error in KEYS
        }
        left = range(index, len(self.route.candidates))
        return next((place for place in left if self.route.candidates[place].provider not in shut), None)

    def candidate(self, index: int) -> Candidate:
        if self.route is None:
            raise IndexError("no route was chosen")
        return self.route.candidates[index]


def tool_hold(turn: TurnId, place: int) -> str:
    """The name of the hold for a use of a tool: the first one of a turn has the place 1."""
    return f"{turn}-tool-{place}"


def next_step(story: Story, *, calls_max: int, tool_rounds_max: int) -> Step:
    """Read off the story what comes next. A pure function: the same entries give the same step, before a crash or after."""
    if story.outcome is not None:
        return "done"
    if story.reply is not None:
        return "finish" if story.reply.sent else "deliver_reply"
    if story.withdrawn:
        return "finish"
    if story.received.refusal or story.asked == ERASED:
        return "prepare_reply"
    if story.received.kind == "command":
        return "run_command"
    if story.context is None and (story.asked.attached or story.asked.unread):
        return "read_context"
    if story.route is None:
        return "route"
    if story.lost is not None:
        return "prepare_reply"
    if story.tools_open and story.rounds <= tool_rounds_max:
        return "use_tools"
    wants_another = story.last is None or not story.last.heard or (story.last.tool_calls and not story.tools_open)
    if wants_another and story.next_candidate is not None and len(story.attempts) < calls_max + story.rounds:
        return "call_model"
    return "prepare_reply"


def tell(scope: Scope, facts: Iterable[Fact]) -> Story:
    """The story so far. The first fact is the message."""
    first, *others = facts
    if not isinstance(first.action, MessageReceived):
        raise ValueError("a turn begins with message.received")
    asked = ERASED if first.body is None else decode_asked(first.body)
    story = Story(scope, first.action, first.seq, asked)
    for fact in others:
        story = after(story, fact)
    return story


def after(story: Story, fact: Fact) -> Story:
    body = fact.body
    match fact.action:
        case CommandRun() as command:
            return replace(story, command=command)
        case MessageWithdrawn():
            return replace(story, withdrawn=True)
        case ContextRead():
            return replace(story, context=Message("user", ()) if body is None else decode_message(body))
        case RouteChosen() as route:
            return replace(story, route=route)
        case ModelCalled() as called:
            return replace(story, attempts=(*story.attempts, Attempt(called, fact.inherited)))
        case ModelAnswered() as answered:
            said = None if body is None else decode_message(body)
            attempt = replace(story.attempts[-1], answered=answered, said=said)
            return replace(story, attempts=(*story.attempts[:-1], attempt))
        case ToolCalled() as used:
            return replace(story, tools=(*story.tools, ToolUse(used, fact.inherited)))
        case ToolAnswered(round=round_, call=call):
            result = None if body is None else decode_message(body).parts[0]
            return replace(
                story,
                tools=tuple(
                    replace(use, result=result)
                    if (use.called.round, use.called.call) == (round_, call) and isinstance(result, ToolResult)
                    else use
                    for use in story.tools
                ),
            )
        case ApprovalAsked() as question:
            shown = Said("") if body is None else decode_said(body)
            return replace(story, approvals=(*story.approvals, Approval(question, shown, fact.inherited)))
        case ApprovalShown(number=number):
            return _approval(story, number, shown=True)
        case ApprovalGiven(number=number):
            return _approval(story, number, decision="given")
        case ApprovalRefused(number=number, cause=cause):
            return _approval(story, number, decision="refused" if cause == "person" else "superseded")
        case ApprovalExpired(number=number):
            return _approval(story, number, decision="expired")
        case CreditReserved(provider=provider) as hold if provider == TOOLS:
            return replace(story, tool_holds=(*story.tool_holds, hold))
        case CreditReserved() as hold:
            return replace(story, hold=hold)
        case CreditSettled(hold=name, price=price, counted=0):
            held = next((hold.amount for hold in story.holds if hold.hold == name), price)
            charged, exceeded = (story.charged or 0) + price, story.exceeded or price > held
            return replace(_let_go(story, name), charged=charged, exceeded=exceeded, spent=story.spent + price)
        case CreditSettled(hold=name, counted=counted):  # a key of the asker's own paid for it
            return replace(_let_go(story, name), spent=story.spent + counted)
        case CreditVoided(hold=name):
            return _let_go(story, name)
        case ReplyPrepared() as prepared:
            return replace(story, reply=Prepared(prepared, decode_said(body or b""), fact.inherited))
        case ReplySent(part=part) if story.reply is not None and story.reply.action.part == part:
            return replace(story, reply=replace(story.reply, sent=True))
        case TurnFinished(outcome=outcome):
            return replace(story, outcome=outcome)
        case _:
            return story


def _let_go(story: Story, name: str) -> Story:
    others = tuple(hold for hold in story.tool_holds if hold.hold != name)
    kept = story.hold if story.hold is not None and story.hold.hold != name else None
    return replace(story, hold=kept, tool_holds=others)


def _approval(story: Story, number: int, *, shown: bool | None = None, decision: Decision = "") -> Story:
    approvals = tuple(
        replace(one, shown=one.shown if shown is None else shown, decision=decision or one.decision)
        if one.asked.number == number
        else one
        for one in story.approvals
    )
    return replace(story, approvals=approvals)
