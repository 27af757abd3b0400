"""What the admins of a workspace set: how Lucidia chooses, what an answer may cost, who may ask, and where."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from bot.commands.base import Asking, Command, Desk, Filling, FormOf, Result
from bot.lucidia.catalog import Catalog
from bot.lucidia.policy import AIMS, Policy
from bot.lucidia.router import HOW_TO_CHANGE_PLAN
from bot.plan import models_of_plan
from bot.platforms.base import Button, Choice, Field, Form
from bot.rules import ALLOWED, APPROVERS, GIVEN_ROLES, OFF, Rules
from bot.sentences import Sentences
from integrations.sentence import Sentence
from ledger.actions import Action, SettingChanged, SettingName
from ledger.credit_actions import CreditRefused
from ledger.errors import Code
from ledger.money import URC_PER_RC, Money, rc_text
from ledger.pseudonyms import ConversationId

BUDGET_RC_MAX = 1_000_000
DEFAULT = "default"
NOT_YOURS = "Only an admin of this workspace can change its settings."
OWNERS_ONLY = (
    "Only an owner of this workspace says who is a billing admin of it, and who is none any more. Nothing was changed."
)
NOWHERE = ConversationId("")


@dataclass(frozen=True, slots=True)
class NoValue(Exception):
    """Why a value is none, as ``Sentences`` take it."""

    english: str
    values: tuple[object, ...] = ()

    def sentence(self, say: Sentences) -> str:
        return say(self.english, *self.values)


@dataclass(frozen=True, slots=True)
class Setting:
    """``read`` makes what is kept of what was typed (empty: as by default), or raises ``NoValue``."""

    name: str
    kept_as: SettingName
    values: str
    about: str
    read: Callable[[str, Catalog], str]
    shown: Callable[[Rules, Policy, Sentences], str]


def _aim(text: str, catalog: Catalog) -> str:
    if text not in AIMS:
        raise NoValue("The policy is one of {0}.", (", ".join(AIMS),))
    return text


def _model(text: str, catalog: Catalog) -> str:
    card = catalog.find(text)
    if card is None:
        raise NoValue("No connected model has that name: `/model` lists them.")
    return card.label


def _providers(text: str, catalog: Catalog) -> str:
    wanted = text.replace(",", " ").split()
    known = {card.provider for card in catalog.cards}
    missing = [name for name in wanted if name not in known]
    if missing:
        raise NoValue("`{0}` is not connected. Connected are {1}.", (missing[0], ", ".join(sorted(known)) or "-"))
    return " ".join(sorted(set(wanted)))


def _budget(text: str, catalog: Catalog) -> str:
    try:
        amount = Decimal(text.casefold().removesuffix("rc").strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 < amount <= BUDGET_RC_MAX or amount * URC_PER_RC != int(amount * URC_PER_RC):
        raise NoValue("The budget is a number of RoadCoin above 0 and up to {0:,}, such as 2.5.", (BUDGET_RC_MAX,))
    return str(int(amount * URC_PER_RC))


def _guests(text: str, catalog: Catalog) -> str:
    if text not in (ALLOWED, "refused"):
        raise NoValue("Guests are `allowed` or `refused`.")
    return ALLOWED if text == ALLOWED else ""


def _here(text: str, catalog: Catalog) -> str:
    if text not in ("on", OFF):
        raise NoValue("CarPool is `on` or `off` in a channel.")
    return OFF if text == OFF else ""


SETTINGS_TABLE: Sequence[Setting] = (
    Setting(
        "policy",
        "policy",
        " | ".join(AIMS),
        "what decides among models",
        _aim,
        lambda rules, policy, say: f"{policy.aim}",
    ),
    Setting(
        "model",
        "model",
        "NAME",
        "the model that goes first",
        _model,
        lambda rules, policy, say: policy.pinned or say("Lucidia chooses"),
    ),
    Setting(
        "providers",
        "providers",
        "NAME ...",
        "which may be asked",
        _providers,
        lambda rules, policy, say: ", ".join(policy.providers) or say("all that are connected"),
    ),
    Setting(
        "budget",
        "answer_urc_max",
        "RC",
        "what one answer may cost",
        _budget,
        lambda rules, policy, say: say("no limit") if policy.budget is None else rc_text(policy.budget),
    ),
    Setting(
        "guests",
        "guests",
        "allowed | refused",
        "whether guests and people of other organisations are answered",
        _guests,
        lambda rules, policy, say: ALLOWED if rules.guests_allowed else "refused",
    ),
)
HERE = Setting("here", "here", "on | off", "whether I answer in this channel", _here, lambda rules, policy, say: "")
_BY_NAME = {setting.name: setting for setting in (*SETTINGS_TABLE, HERE)}


async def _settings(asking: Asking, desk: Desk) -> Result:
    name, _, value = asking.arguments.partition(" ")
    name, value = name.casefold(), value.strip()
    if not name:
        may_set = asking.rules.may(asking.role, "settings")
        return Result(
            _listed(asking, desk),
            buttons=(Button(desk.say("Change settings"), "settings edit"),) if may_set else (),
        )
    if not asking.rules.may(asking.role, "settings"):
        return Result(desk.say(NOT_YOURS))
    if name == "role":
        return _role(asking, desk, value)
    if name == "approver":
        return _approver(value, desk.say)
    setting = _BY_NAME.get(name)
    if setting is None or not value:
        return Result(
            desk.say("`/settings NAME VALUE`: there is no such setting, or no value.\n\n{0}", _listed(asking, desk))
        )
    try:
        change = await _change(setting, value, asking, desk)
    except NoValue as refused:
        return Result(desk.say("{0} Nothing was changed.", refused.sentence(desk.say)))
    return Result(_said(setting, change, asking, desk), (change,))


async def _change(setting: Setting, value: str, asking: Asking, desk: Desk) -> SettingChanged:
    """Raises ``NoValue``."""
    connected = await desk.connections.of(asking.scope)
    kept = (
        ""
        if value.casefold() == DEFAULT
        else setting.read(value if setting is _BY_NAME["model"] else value.casefold(), connected.catalog)
    )
    if setting is _BY_NAME["model"] and kept:
        plan = await models_of_plan(desk.store, desk.billing.plans, asking.scope.workspace, connected.own)
        if plan is not None and not any(plan.allows(card) for card in connected.catalog.cards if card.label == kept):
            how = Sentence(HOW_TO_CHANGE_PLAN)
            raise NoValue("{0} is not in the plan {1}, so it would not be asked. {2}.", (kept, plan.plan, how))
    return SettingChanged(setting.kept_as, kept, _channel(asking, desk) if setting is HERE else NOWHERE)


def _channel(asking: Asking, desk: Desk) -> ConversationId:
    address = asking.address
    return desk.pseudonyms.conversation(address.platform, address.workspace, address.channel, "")


def _said(setting: Setting, change: SettingChanged, asking: Asking, desk: Desk) -> str:
    if setting is HERE:
        return (
            desk.say("I answer nobody in this channel any more.")
            if change.value
            else desk.say("I answer in this channel.")
        )
    rules = _with(asking.rules, change)
    return desk.say(
        "From now on, {0}: {1}.", desk.say(setting.about), setting.shown(rules, rules.policy(desk.policy), desk.say)
    )


def _with(rules: Rules, change: SettingChanged) -> Rules:
    match change.setting:
        case "policy":
            return replace(rules, aim=change.value)
        case "model":
            return replace(rules, model=change.value)
        case "providers":
            return replace(rules, providers=tuple(change.value.split()))  # type: ignore[arg-type]  # names, as they were kept
        case "answer_urc_max":
            return replace(rules, budget=Money(int(change.value)) if change.value else None)
        case "guests":
            return replace(rules, guests_allowed=change.value == ALLOWED)
        case _:
            return rules


def _role(asking: Asking, desk: Desk, value: str) -> Result:
    person, _, role = value.partition(" ")
    person, role = person.lstrip("@"), role.strip().casefold().replace(" ", "_")
    if not person or role not in (*GIVEN_ROLES, "none"):
        return Result(
            desk.say(
                "`/settings role PERSON ROLE`: the person by the id that {0} has for them, the role one of {1}, "
                "or `none`. Nothing was changed.",
                asking.address.platform.capitalize(),
                ", ".join(GIVEN_ROLES),
            )
        )
    return Result(*_given(asking, desk, person, role))


def _approver(value: str, say: Sentences) -> Result:
    """Who approves of a tool that changes something. Of what costs money it is never the asker alone."""
    tool, _, who = value.partition(" ")
    who = who.strip().casefold()
    if not tool or who not in (*APPROVERS, DEFAULT):
        return Result(
            say("`/settings approver TOOL WHO`: who is one of {0}. Nothing was changed.", ", ".join(APPROVERS))
        )
    kept = "" if who == DEFAULT else who
    change = SettingChanged("approver", kept, NOWHERE, item=tool)
    return Result(say("From now on, `{0}` is approved by: {1}.", tool, kept or "asker"), (change,))


def _given(asking: Asking, desk: Desk, person: str, role: str) -> tuple[str, tuple[Action, ...]]:
    actor = desk.pseudonyms.actor(asking.address.platform, asking.address.workspace, person)
    of_money = "billing_admin" in (role, asking.rules.roles.get(actor))
    if of_money and not asking.rules.may(asking.role, "billing_admins"):
        return desk.say(OWNERS_ONLY), (CreditRefused("settings.role", Code.UNAUTHORISED.value),)
    kept = "" if role == "none" else role
    whose = (
        desk.say("`{0}` has no role of CarPool's own any more", person)
        if not kept
        else desk.say("`{0}` is {1} here", person, role.replace("_", " "))
    )
    return f"{whose}.", (SettingChanged("role", kept, NOWHERE, actor),)


def _listed(asking: Asking, desk: Desk) -> str:
    policy = asking.rules.policy(desk.policy)
    lines = [
        f"- `{setting.name}` ({setting.values}), {desk.say(setting.about)}: **{setting.shown(asking.rules, policy, desk.say)}**"
        for setting in SETTINGS_TABLE
    ]
    here = "off" if _channel(asking, desk) in asking.rules.shut else "on"
    lines.append(f"- `here` ({HERE.values}), {desk.say(HERE.about)}: **{here}**")
    for tool, approver in asking.rules.approvers.items():
        lines.append(desk.say("- `approver {0}`, who approves of what it does: **{1}**", tool, approver))
    lines.append(desk.say("- `approver` (TOOL {0}), who approves of what a tool does", " | ".join(APPROVERS)))
    lines.append(desk.say("- `role` (PERSON {0}), what a person may do here", " | ".join((*GIVEN_ROLES, "none"))))
    how = (
        desk.say("`/settings NAME VALUE` changes one, `default` takes it back.")
        if asking.rules.may(asking.role, "settings")
        else desk.say(NOT_YOURS)
    )
    return "\n".join([desk.say("You are {0} here. What is set:", asking.role.replace("_", " ")), "", *lines, "", how])


async def _ask(asking: Asking, desk: Desk) -> Form | None:
    """All of it at once, for admins; ``role`` has a form of its own, because it names a person."""
    if not asking.rules.may(asking.role, "settings") or asking.arguments not in ("", "edit", "role"):
        return None
    if asking.arguments == "role":
        roles = tuple(Choice(role, role.replace("_", " ")) for role in (*GIVEN_ROLES, "none"))
        person = Field("person", desk.say("Person"), "person")
        return Form(
            "settings", desk.say("Role of a person"), (person, Field("role", desk.say("Role"), "choice", choices=roles))
        )
    if asking.arguments != "edit":
        return None
    rules = asking.rules
    return Form(
        "settings",
        desk.say("Settings"),
        (
            Field(
                "policy",
                desk.say("Policy"),
                "choice",
                desk.say("What decides among models."),
                rules.aim or desk.policy.aim,
                _choices(AIMS),
            ),
            Field(
                "model",
                desk.say("Model"),
                "line",
                desk.say("provider/model; empty: Lucidia chooses."),
                rules.model,
                optional=True,
            ),
            Field(
                "providers",
                desk.say("Providers"),
                "line",
                desk.say("Which may be asked; empty: all."),
                " ".join(rules.providers),
                optional=True,
            ),
            Field(
                "budget",
                desk.say("Budget of an answer"),
                "line",
                desk.say("In RC; empty: no limit."),
                _budget_of(rules),
                optional=True,
            ),
            Field(
                "guests",
                desk.say("Guests"),
                "choice",
                desk.say("And people of other organisations."),
                ALLOWED if rules.guests_allowed else "refused",
                _choices((ALLOWED, "refused")),
            ),
        ),
    )


def _budget_of(rules: Rules) -> str:
    return "" if rules.budget is None else f"{Decimal(rules.budget) / URC_PER_RC:f}"


def _choices(values: Sequence[str]) -> tuple[Choice, ...]:
    return tuple(Choice(value, value) for value in values)


async def _fill(asking: Asking, desk: Desk, values: Mapping[str, str]) -> Filling:
    if not asking.rules.may(asking.role, "settings"):
        return Filling(desk.say(NOT_YOURS))
    if "person" in values:
        if values.get("role", "") not in (*GIVEN_ROLES, "none"):
            return Filling("", errors={"role": desk.say("Choose one of the roles.")})
        return Filling(*_given(asking, desk, values["person"], values["role"]))
    changes: list[SettingChanged] = []
    errors: dict[str, str] = {}
    for setting in SETTINGS_TABLE:
        if setting is _BY_NAME["model"] and values.get("model", "").strip() == asking.rules.model:
            continue  # what was set before a plan or a lost key ruled it out does not keep anybody from setting the rest
        try:
            change = await _change(setting, values.get(setting.name, "").strip() or DEFAULT, asking, desk)
        except NoValue as refused:
            errors[setting.name] = refused.sentence(desk.say)
            continue
        if _with(asking.rules, change) != asking.rules:
            changes.append(change)
    if errors:
        return Filling("", errors=errors)
    said = [_said(_named(change), change, asking, desk) for change in changes]
    return Filling(" ".join(said) or desk.say("Nothing was changed."), tuple(changes))


def _named(change: SettingChanged) -> Setting:
    return next(setting for setting in SETTINGS_TABLE if setting.kept_as == change.setting)


def _is_setting(arguments: str) -> bool:
    return not arguments or arguments.partition(" ")[0] in (*_BY_NAME, "role", "approver", "edit")


SETTINGS = Command(
    "settings",
    "settings [NAME VALUE]",
    "shows what is set for this workspace, or sets it",
    _settings,
    _is_setting,
    private=True,
    form=FormOf(_ask, _fill),
    home="Settings",
)
