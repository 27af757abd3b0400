"""Who may do what, and what a workspace's settings make of the operator's."""

import pytest

from adapters.messages import ProviderName
from bot.lucidia.policy import Policy
from bot.platforms.base import Standing
from bot.rules import Right, Role, Rules, rules_of
from ledger.actions import Refusal, SettingName
from ledger.money import Money
from ledger.pseudonyms import ActorId, ConversationId, WorkspaceId
from ledger.store import SettingKept

ANN = ActorId("a-ann")


def kept(name: SettingName, value: str, conversation: str = "", person: str = "") -> SettingKept:
    return SettingKept(WorkspaceId("w"), name, value, ConversationId(conversation), ActorId(person))


@pytest.mark.parametrize(
    ("standing", "given", "role"),
    [
        ("member", "", "member"),
        ("member", "admin", "admin"),
        ("member", "billing_admin", "billing_admin"),
        ("guest", "", "guest"),
        ("guest", "member", "member"),
        ("guest", "billing_admin", "member"),
        ("outsider", "billing_admin", "member"),
        ("outsider", "", "outsider"),
        ("owner", "member", "owner"),
        ("admin", "member", "admin"),
        ("admin", "billing_admin", "admin_and_billing_admin"),
        ("owner", "billing_admin", "owner"),
    ],
)
def test_a_role_is_what_the_platform_says_or_an_admin_gave_whichever_is_more(
    standing: Standing, given: str, role: Role
) -> None:
    rules = rules_of([kept("role", given, person=ANN)] if given else [])
    assert rules.role(standing, ANN) == role


@pytest.mark.parametrize(
    ("role", "right", "may"),
    [
        ("member", "ask", True),
        ("member", "own_keys", True),
        ("member", "settings", False),
        ("billing_admin", "billing", True),
        ("billing_admin", "settings", False),
        ("admin", "settings", True),
        ("admin", "billing", False),
        ("admin", "billing_admins", False),
        ("billing_admin", "billing_admins", False),
        ("owner", "billing_admins", True),
        ("admin_and_billing_admin", "billing", True),
        ("admin_and_billing_admin", "settings", True),
        ("admin_and_billing_admin", "billing_admins", False),
        ("owner", "billing", True),
        ("guest", "ask", False),
        ("outsider", "ask", False),
        ("guest", "own_keys", False),
        ("owner", "delete_billing", True),
        ("admin", "delete_billing", False),
        ("billing_admin", "delete_billing", False),
    ],
)
def test_a_role_has_its_rights_and_no_others(role: Role, right: Right, may: bool) -> None:
    assert Rules().may(role, right) is may


def test_guests_who_are_let_in_may_ask_and_nothing_else() -> None:
    rules = rules_of([kept("guests", "allowed")])
    assert [rules.may("guest", right) for right in ("ask", "own_keys", "settings", "billing")] == [
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("given", ["admin", "billing_admin", "member"])
@pytest.mark.parametrize("standing", ["guest", "outsider"])
def test_a_guest_has_to_do_with_money_never_whatever_was_given(standing: Standing, given: str) -> None:
    rules = rules_of([kept("role", given, person=ANN), kept("guests", "allowed")])
    assert not rules.may(rules.role(standing, ANN), "billing")


@pytest.mark.parametrize(
    ("role", "channel", "refusal"),
    [
        ("member", "c-on", ""),
        ("member", "c-off", "not_here"),
        ("outsider", "c-on", "not_allowed"),
        ("owner", "c-off", "not_here"),
    ],
)
def test_a_refusal_says_whether_it_is_for_the_person_or_the_channel(role: Role, channel: str, refusal: Refusal) -> None:
    assert rules_of([kept("here", "off", "c-off")]).refusal(role, ConversationId(channel)) == refusal


def test_a_workspace_narrows_what_the_operator_allows_and_never_widens_it() -> None:
    default = Policy("balanced", "openai/gpt", (ProviderName("openai"), ProviderName("xai")), Money(5))
    rules = rules_of(
        [
            kept("policy", "best"),
            kept("providers", "anthropic openai"),
            kept("answer_urc_max", "9"),
            kept("model", "xai/g"),
        ]
    )
    assert rules.policy(default) == Policy("best", "xai/g", (ProviderName("openai"),), Money(5))
    assert Rules(budget=Money(3)).policy(default).budget == 3
    assert Rules().policy(default) == default


def test_where_none_of_the_wanted_providers_is_allowed_none_is_asked() -> None:
    policy = Rules(providers=(ProviderName("xai"),)).policy(Policy(providers=(ProviderName("openai"),)))
    assert policy.providers
    assert not {"xai", "openai"} & set(policy.providers)
