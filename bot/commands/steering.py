"""Commands that steer: which model answers here, and stop."""

from bot.approvals import undecided
from bot.commands.base import Asking, Command, Decided, Desk, Result, no_arguments, one_word
from bot.lucidia.catalog import Catalog, ModelCard, price_text
from bot.lucidia.policy import PlanModels
from bot.lucidia.router import HOW_TO_CHANGE_PLAN
from bot.plan import models_of_plan
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
        return Result(_listed(catalog, pinned, plan))
    if wanted.casefold() == AUTOMATIC:
        return Result("Lucidia chooses the model again.", (SettingChanged("model", "", asking.scope.conversation),))
    card = catalog.find(wanted)
    if card is None:
        return Result(f"There is no connected model of that name.\n\n{_listed(catalog, pinned, plan)}")
    if plan is not None and not plan.allows(card):
        return Result(
            f"{card.label} is not in the plan {plan.plan}, so it would not be asked: nothing was changed. {HOW_TO_CHANGE_PLAN}."
        )
    changed = SettingChanged("model", card.label, asking.scope.conversation)
    return Result(f"{card.label} answers in this conversation from now on.", (changed,))


def _listed(catalog: Catalog, pinned: str, plan: PlanModels | None) -> str:
    if not catalog.cards:
        return "No model is connected. `carpool doctor` says what is missing."
    lines = [f"- `{card.label}`{_marks(card, pinned, plan)}, {price_text(card)}" for card in catalog.cards]
    how = "`/model NAME` chooses one for this conversation, `/model auto` leaves the choice to Lucidia."
    prices = "Prices are for a million tokens, in and out. "
    return "\n".join(["Connected models, best first:", "", *lines, "", prices + how])


def _marks(card: ModelCard, pinned: str, plan: PlanModels | None) -> str:
    chosen = " (chosen here)" if card.label == pinned else ""
    return f"{chosen} (not in the plan {plan.plan})" if plan is not None and not plan.allows(card) else chosen


async def _stop(asking: Asking, desk: Desk) -> Result:
    """Here; and where nothing was ever asked here (a slash command stands in no thread), what the person asked last."""
    turn = await desk.store.last_turn(asking.scope.conversation, asking.scope.actor, asking.seq)
    actions = () if turn is None else [recorded.entry.action for recorded in await desk.store.entries_of(turn)]
    asked = actions[0] if actions else None
    if turn is None or not isinstance(asked, MessageReceived):
        return Result(NOTHING_TO_STOP)
    if desk.stop(asked.conversation):
        return Result("Stopped.")
    if any(isinstance(action, TurnFinished) for action in actions):
        return Result(NOTHING_TO_STOP)
    # One that waits for an approval is at rest: refusing is what stops it. Any other is worked on by another process.
    refused = tuple(ApprovalRefused(one.number, "person") for one in undecided(actions))
    told = [Decided(turn, asked.conversation, action) for action in (refused or (StopAsked(),))]
    return Result("Stopped.", decided=tuple(told))


MODEL = Command(
    "model",
    "model [NAME | auto]",
    "shows the models, or chooses one for this conversation",
    _model,
    one_word,
    home="Models",
)
STOP = Command("stop", "stop", "stops the answer that is being made", _stop, no_arguments)
