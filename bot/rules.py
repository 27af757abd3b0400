"""Who may do what in a workspace, and what its admins have set. Pure: what is set comes from the entries that set it.

A person's role is what the platform says of them, or what an admin here gave them, whichever is more. Guests and people of other
organisations may do nothing until an admin lets them in, and have to do with money never.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, get_args

from adapters.messages import ProviderName
from bot.billing import NO_CAPS, Caps
from bot.lucidia.policy import AIMS, Policy
from bot.platforms.base import Standing
from ledger.actions import Approver, Refusal, SettingName
from ledger.money import Money
from ledger.pseudonyms import ActorId, ConversationId
from ledger.store import SettingKept

Role: TypeAlias = Literal["owner", "admin_and_billing_admin", "admin", "billing_admin", "member", "guest", "outsider"]
Right: TypeAlias = Literal[
    "ask", "own_keys", "workspace_keys", "settings", "billing", "billing_admins", "delete_billing"
]
"""``billing_admins``: to say who is one."""

GivenRole: TypeAlias = Literal["admin", "billing_admin", "member"]

GIVEN_ROLES: tuple[GivenRole, ...] = get_args(GivenRole)
"""What an admin can give. That somebody owns the workspace, or is its guest, only the platform knows."""

APPROVERS: tuple[Approver, ...] = get_args(Approver)
ALLOWED = "allowed"
OFF = "off"

_RIGHTS: Mapping[Role, frozenset[Right]] = {
    "owner": frozenset(get_args(Right)),
    "admin_and_billing_admin": frozenset({"ask", "own_keys", "workspace_keys", "settings", "billing"}),
    "admin": frozenset({"ask", "own_keys", "workspace_keys", "settings"}),
    "billing_admin": frozenset({"ask", "own_keys", "billing"}),
    "member": frozenset({"ask", "own_keys"}),
    "guest": frozenset(),
    "outsider": frozenset(),
}
_RANK: Sequence[Role] = ("outsider", "guest", "member", "billing_admin", "admin", "admin_and_billing_admin", "owner")


@dataclass(frozen=True, slots=True)
class Allowed:
    """A tool that ``person`` need not be asked about, where the arguments in ``fields`` are those that make ``digest``."""

    person: ActorId
    digest: str
    tool: str
    fields: tuple[str, ...]
    until_us: int

    @property
    def value(self) -> str:
        return " ".join((self.tool, str(self.until_us), *self.fields))

    @classmethod
    def kept(cls, kept: SettingKept) -> "Allowed":
        tool, until, *fields = kept.value.split(" ")
        return cls(kept.person, kept.item, tool, tuple(fields), int(until))


@dataclass(frozen=True, slots=True)
class Rules:
    """What a workspace has set. ``shut`` are the channels in which CarPool does not answer, ``roles`` what people were given,
    ``approvers`` who approves of a tool, ``allowed`` what need not be approved, ``most`` and ``channel_months`` what answers may
    cost (uRC)."""

    aim: str = ""
    model: str = ""
    providers: tuple[ProviderName, ...] = ()
    budget: Money | None = None
    guests_allowed: bool = False
    shut: frozenset[ConversationId] = frozenset()
    roles: Mapping[ActorId, Role] = field(default_factory=dict)
    approvers: Mapping[str, Approver] = field(default_factory=dict)
    allowed: tuple[Allowed, ...] = ()
    most: Caps = NO_CAPS
    channel_months: Mapping[ConversationId, int] = field(default_factory=dict)

    def caps(self, operators: Caps, channel: ConversationId) -> Caps:
        """The most that answers in this channel may cost. What the operator forbids, no workspace allows."""
        return operators.lower(replace(self.most, channel_month=self.channel_months.get(channel, 0)))

    def limited(self, setting: SettingName, channel: ConversationId, cap: int) -> "Rules":
        """With another one of ``most``, in uRC; the channel's in ``channel``. As it is where ``setting`` is none of them."""
        match setting:
            case "person_day_urc_max":
                return replace(self, most=replace(self.most, person_day=cap))
            case "person_month_urc_max":
                return replace(self, most=replace(self.most, person_month=cap))
            case "workspace_day_urc_max":
                return replace(self, most=replace(self.most, workspace_day=cap))
            case "workspace_month_urc_max":
                return replace(self, most=replace(self.most, workspace_month=cap))
            case "channel_month_urc_max":
                return replace(self, channel_months={**self.channel_months, channel: cap})
            case _:
                return self

    def policy(self, default: Policy) -> Policy:
        """``default`` as the workspace wants it. What the operator forbids, no workspace allows."""
        allowed = default.providers
        if self.providers:
            allowed = tuple(name for name in self.providers if not default.providers or name in default.providers)
            # None of those that the workspace wants may be asked: then no provider is.
            allowed = allowed or (ProviderName(OFF),)
        budgets = [budget for budget in (self.budget, default.budget) if budget is not None]
        aim = next((aim for aim in AIMS if aim == self.aim), default.aim)
        return replace(
            default,
            aim=aim,
            pinned=self.model or default.pinned,
            providers=allowed,
            budget=min(budgets) if budgets else None,
        )

    def refusal(self, role: Role, channel: ConversationId) -> Refusal:
        """Why a person is not answered here; empty where they are."""
        if not self.may(role, "ask"):
            return "not_allowed"
        return "not_here" if channel in self.shut else ""

    def role(self, standing: Standing, actor: ActorId) -> Role:
        given = self.roles.get(actor, "outsider")
        if given == "billing_admin" and standing in ("guest", "outsider"):
            given = "member"  # who was a member when it was given may be a guest now
        if given == "billing_admin" and standing == "admin":
            return "admin_and_billing_admin"  # neither of the two has what the other has
        return max(standing, given, key=_RANK.index)

    def may(self, role: Role, right: Right) -> bool:
        return right in _RIGHTS[role] or (right == "ask" and self.guests_allowed)


def rules_of(settings: Sequence[SettingKept]) -> Rules:
    rules = Rules()
    shut: set[ConversationId] = set()
    roles: dict[ActorId, Role] = {}
    approvers: dict[str, Approver] = {}
    allowed: list[Allowed] = []
    for kept in settings:
        match kept.setting:
            case "policy":
                rules = replace(rules, aim=kept.value)
            case "model":
                rules = replace(rules, model=kept.value)
            case "providers":
                rules = replace(rules, providers=tuple(map(ProviderName, kept.value.split())))
            case "answer_urc_max":
                rules = replace(rules, budget=Money(int(kept.value)))
            case "guests":
                rules = replace(rules, guests_allowed=kept.value == ALLOWED)
            case "here":
                shut |= {kept.conversation} if kept.value == OFF else set()
            case "role":
                for role in GIVEN_ROLES:
                    if role == kept.value:
                        roles[kept.person] = role
            case "approver":
                for approver in APPROVERS:
                    if approver == kept.value:
                        approvers[kept.item] = approver
            case "allow":
                allowed.append(Allowed.kept(kept))
            case (
                "person_day_urc_max"
                | "person_month_urc_max"
                | "channel_month_urc_max"
                | "workspace_day_urc_max"
                | "workspace_month_urc_max"
            ):
                rules = rules.limited(kept.setting, kept.conversation, int(kept.value))
    return replace(rules, shut=frozenset(shut), roles=roles, approvers=approvers, allowed=tuple(allowed))
