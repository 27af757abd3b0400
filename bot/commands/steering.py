"""Commands that steer: which model answers here, and stop."""

from bot.approvals import undecided
from bot.commands.base import Asking, Command, Decided, Desk, Result, no_arguments, one_word
from bot.lucidia.catalog import Catalog, ModelCard, price_text
from bot.lucidia.policy import PlanModels
from bot.lucidia.router import HOW_TO_CHANGE_PLAN
from bot.plan import models_of_plan
from bot.sentences import Sentences
from ledger.actions import ApprovalRefused, MessageReceived, SettingChanged, StopAsked, TurnFinished

AUTOMATIC = "auto"
NOTHING_TO_STOP = "Nothing is being answered here at the moment."


async def _model(asking: Asking, desk: Desk) -> Result:
    conversation = await desk.store.conversation(asking.scope.conversation)
    pinned = "" if conversation is None else conversation.pinned_model
    wanted = asking.arguments
    connected = await desk.connections.of(asking.scope)
    catalog = connected.catalog
    plan = await models_of_plan(desk.store, desk.billing.plans, asking.scope.workspace, connected.own)
    if not wanted:
        return Result(_listed(catalog, pinned, plan, desk.say))
    if wanted.casefold() == AUTOMATIC:
        return Result(
            desk.say("Lucidia chooses the model again."), (SettingChanged("model", "", asking.scope.conversation),)
        )
    card = catalog.find(wanted)
    if card is None:
        return Result(
            desk.say("There is no connected model of that name.\n\n{0}", _listed(catalog, pinned, plan, desk.say))
        )
    if plan is not None and not plan.allows(card):
        return Result(
            desk.say(
                "{0} is not in the plan {1}, so it would not be asked: nothing was changed. {2}.",
                card.label,
                plan.plan,
                desk.say(HOW_TO_CHANGE_PLAN),
            )
        )
    changed = SettingChanged("model", card.label, asking.scope.conversation)
    return Result(desk.say("{0} answers in this conversation from now on.", card.label), (changed,))


def _listed(catalog: Catalog, pinned: str, plan: PlanModels | None, say: Sentences) -> str:
    if not catalog.cards:
        return say("No model is connected. `carpool doctor` says what is missing.")
    lines = [f"- `{card.label}`{_marks(card, pinned, plan, say)}, {price_text(card, say)}" for card in catalog.cards]
    how = say(
        "Prices are for a million tokens, in and out. `/model NAME` chooses one for this conversation, "
        "`/model auto` leaves the choice to Lucidia."
    )
    return "\n".join([say("Connected models, best first:"), "", *lines, "", how])


def _marks(card: ModelCard, pinned: str, plan: PlanModels | None, say: Sentences) -> str:
    chosen = say(" (chosen here)") if card.label == pinned else ""
    return say("{0} (not in the plan {1})", chosen, plan.plan) if plan is not None and not plan.allows(card) else chosen


async def _stop(asking: Asking, desk: Desk) -> Result:
    """Here; and where nothing was ever asked here (a slash command stands in no thread), what the person asked last."""
    turn = await desk.store.last_turn(asking.scope.conversation, asking.scope.actor, asking.seq)
    actions = () if turn is None else [recorded.entry.action for recorded in await desk.store.entries_of(turn)]
    asked = actions[0] if actions else None
    if turn is None or not isinstance(asked, MessageReceived):
        return Result(desk.say(NOTHING_TO_STOP))
    if desk.stop(asked.conversation):
        return Result(desk.say("Stopped."))
    if any(isinstance(action, TurnFinished) for action in actions):
        return Result(desk.say(NOTHING_TO_STOP))
    # One that waits for an approval is at rest: refusing is what stops it. Any other is worked on by another process.
    refused = tuple(ApprovalRefused(one.number, "person") for one in undecided(actions))
    told = [Decided(turn, asked.conversation, action) for action in (refused or (StopAsked(),))]
    return Result(desk.say("Stopped."), decided=tuple(told))


MODEL = Command(
    "model",
    "model [NAME | auto]",
    "shows the models, or chooses one for this conversation",
    _model,
    one_word,
    home="Models",
)
STOP = Command("stop", "stop", "stops the answer that is being made", _stop, no_arguments)
