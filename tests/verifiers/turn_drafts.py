"""A turn as it is journalled, from the message to the end: asked, reserved, called, settled, answered."""

from dataclasses import replace

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
    FeedbackGiven,
    MessageReceived,
    MessageWithdrawn,
    ModelAnswered,
    ModelCalled,
    PayloadErased,
    ReplyPrepared,
    ReplySent,
    RouteChosen,
    SettingChanged,
    StopAsked,
    ToolAnswered,
    ToolCalled,
    TurnFinished,
)
from ledger.credit_actions import Absorbed, CreditReserved, CreditSettled, CreditVoided, Limit
from ledger.entry import Draft, Scope
from ledger.payment_actions import (
    AdjustmentAsked,
    AdjustmentDecided,
    AdjustmentRequested,
    PaymentAsked,
    PaymentClosed,
    PaymentDiffers,
    PaymentHandled,
    PaymentOpened,
    PaymentReceived,
    PaymentRefused,
    PaymentReturned,
    PaymentSetAside,
    PaymentsScanned,
    ReferralOffered,
    ReferralTaken,
    UsageMetered,
)
from ledger.pseudonyms import ConversationId, Pseudonyms, WorkspaceId

PSEUDONYMS = Pseudonyms(b"\x07" * 32)
PEOPLE = 5
PROVIDERS = ("openai", "open_ai.eu", "Blackroad-local")
REASONS = ("the best that is connected", "größer — besser ✓", 'she said "this one" \\ 😀\u2028')
PRICE_MAX = 40_000
WORKSPACES = 24


def workspace_of(number: int) -> WorkspaceId:
    return PSEUDONYMS.workspace("slack", f"T{number}")


def scope_of(workspace: int, number: int) -> Scope:
    """``number`` is the turn's: a person and a conversation of the workspace go with it."""
    team, person = f"T{workspace}", f"U{number % PEOPLE}"
    return Scope(
        workspace_of(workspace),
        PSEUDONYMS.actor("slack", team, person),
        PSEUDONYMS.conversation("slack", team, "C1", f"{number % (PEOPLE * 2)}"),
        PSEUDONYMS.turn("slack", team, f"event {number}"),
    )


def turn(workspace: int, number: int) -> list[Draft]:
    scope = scope_of(workspace, number)
    drafts = _command(scope, number) if number % 17 == 0 else _message(scope, number)
    return [replace(draft, idem=f"{scope.turn}/{step}") for step, draft in enumerate(drafts)]


def _command(scope: Scope, number: int) -> list[Draft]:
    kinds = (
        SettingChanged("model", f"{PROVIDERS[number % 3]}/m", scope.conversation),
        SettingChanged("model", "", ConversationId("")),
        PayloadErased("conversation", scope.conversation),
        PayloadErased("person", scope.actor),
        SettingChanged("role", "admin", ConversationId(""), scope.actor),
        FeedbackGiven(scope.turn, "good"),
        PaymentAsked("stripe", "topup", 10**9),
        PaymentOpened("stripe", "topup"),
        PaymentClosed("stripe", "customer"),
        PaymentReturned("stripe", "re_1", -(10**9), -7),
        PaymentReceived("stripe", "checkout.session.completed"),
        PaymentHandled("stripe", "recorded"),
        PaymentRefused("stripe", "signature"),
        PaymentSetAside("stripe", "RC001"),
        PaymentDiffers("stripe", "other_balance", "A:stripe:clearing RC", -(10**9), None),
        PaymentsScanned("stripe", 1_790_000_000, 1_790_003_600, 3),
        UsageMetered("stripe", "overage"),
        AdjustmentRequested("grant", 10**9),
        AdjustmentAsked("reverse", 10**10, "anna", 30, "stripe", "17", "ab" * 32, "ops-1", 7, 1_793_491_200),
        AdjustmentDecided("approved", "b.ob"),
        ReferralOffered("r-0123456789abcdef"),
        ReferralTaken("r-0123456789abcdef"),
    )
    return [
        _draft(MessageReceived("slack", scope.conversation, "command", ""), scope, b"/model openai/m"),
        _draft(CommandRun("model" if number % 2 else "Präferenzen ☃"), scope, b"openai/m"),
        _draft(kinds[number // 17 % len(kinds)], scope),
        _draft(ReplyPrepared(1, "command", "command"), scope, b"From here on openai/m answers."),
        _draft(ReplySent(1, False), scope),
        _draft(TurnFinished("command"), scope),
    ]


def _message(scope: Scope, number: int) -> list[Draft]:
    provider, price = PROVIDERS[number % 3], number * 7_919 % PRICE_MAX
    hold, failed = f"{scope.turn}/1", number % 11 == 0
    limits = (Limit(scope.actor, "2026-11", 10**12), Limit(scope.workspace, "2026-11-24", 10**12))
    candidates = (Candidate(provider, "m-1", price), Candidate("scripted", "m", None))
    answered = ModelAnswered(
        1,
        "failed" if failed else "answered",
        "" if failed else "stop",
        "unavailable" if failed else "",
        False,
        not failed,
        number % 4_000,
        price % 900,
        0,
        0,
        0,
        None if failed else 250_000,
        1_900_000 + number,
        3 if failed else None,
    )
    absorbed = (Absorbed(PROVIDERS[(number + 1) % 3], number % 90),) if number % 5 == 0 else ()
    paid = (
        CreditVoided(hold, provider, number % 50)
        if failed
        else CreditSettled(hold, price, provider, price * 2 // 3, absorbed)
    )
    reply = ReplyPrepared(1, "notice" if failed else "answer", "failed" if failed else "answered")
    charged = number // WORKSPACES % 2 == 0  # the others bring their own key
    reserved = CreditReserved(hold, PRICE_MAX, price, provider, "m-1", "helper", limits)
    return [
        _draft(MessageReceived("slack", scope.conversation, "message", ""), scope, b"question %d" % number),
        *([_draft(ContextRead(2, 1, 0), scope, b"what others said")] if number % 7 == 0 else []),
        _draft(RouteChosen(candidates, REASONS[number % 3]), scope),
        *([_draft(reserved, scope)] if charged else []),
        _draft(ModelCalled(1, 0, provider, "m-1", 1_024), scope),
        *([] if number % 3 else _tool(scope) if number % 2 else _write(scope, number)),
        _draft(answered, scope, None if failed else b"answer %d" % number),
        *([_draft(paid, scope)] if charged else []),
        *([_draft(StopAsked(), scope), _draft(MessageWithdrawn("edited"), scope)] if number % 31 == 0 else []),
        _draft(reply, scope, b"answer %d" % number),
        _draft(ReplySent(1, number % 29 == 0), scope),
        _draft(TurnFinished("failed" if failed else "answered"), scope),
    ]


def _tool(scope: Scope) -> list[Draft]:
    return [
        _draft(ToolCalled(1, "call_1", "search", "read"), scope, b'{"query":"x"}'),
        _draft(ToolAnswered(1, "call_1", False), scope, b"found"),
    ]


def _write(scope: Scope, number: int) -> list[Draft]:
    """A tool that changes something: asked about, and then approved, refused or left."""
    arguments = f"{number:064x}"
    decisions = (ApprovalGiven(1, arguments), ApprovalRefused(1, "person"), ApprovalExpired(1))
    decision = decisions[number // 6 % len(decisions)]
    done = isinstance(decision, ApprovalGiven)
    return [
        _draft(ApprovalAsked(1, 1, "call_1", "send", arguments, "asker", 1_790_000_000_000_000), scope, b"Send it?"),
        _draft(ApprovalShown(1), scope),
        _draft(decision, scope),
        _draft(ToolCalled(1, "call_1", "send", "write"), scope, b'{"to":"x"}'),
        _draft(ToolAnswered(1, "call_1", not done), scope, b"sent" if done else b"refused"),
    ]


def _draft(action: Action, scope: Scope, payload: bytes | None = None) -> Draft:
    """Its key comes with its place in the turn."""
    return Draft(action, scope, "", payload)
