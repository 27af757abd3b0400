"""What Slack says of a person becomes their standing; what it does not say counts against them."""

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.platforms.base import Address, PlatformError, PlatformName, Standing
from bot.platforms.slack_standing import STALE_AGE_S_MAX, STANDING_AGE_S_MAX, Standings, standing_of

ME = Address(PlatformName("slack"), "T1", "C1", "1.1", "U1")


@pytest.mark.parametrize(
    ("user", "standing"),
    [
        ({"team_id": "T1"}, "member"),
        ({"team_id": "T1", "is_admin": True}, "admin"),
        ({"team_id": "T1", "is_admin": True, "is_owner": True}, "owner"),
        ({"team_id": "T1", "is_primary_owner": True}, "owner"),
        ({"team_id": "T1", "is_restricted": True}, "guest"),
        ({"team_id": "T1", "is_restricted": True, "is_ultra_restricted": True}, "guest"),
        ({"team_id": "T1", "is_restricted": True, "is_admin": True}, "guest"),
        ({"team_id": "T1", "is_bot": True}, "guest"),
        ({"team_id": "T1", "deleted": True, "is_owner": True}, "outsider"),
        ({"team_id": "T2"}, "outsider"),
        ({"team_id": "T2", "is_owner": True}, "outsider"),
        ({"team_id": "T1", "is_stranger": True}, "outsider"),
        ({"team_id": "T2", "enterprise_user": {"teams": ["T2", "T1"]}}, "member"),
        ({"team_id": "T2", "enterprise_user": {"teams": ["T2"]}}, "outsider"),
        ({"team_id": "T2", "is_stranger": True, "enterprise_user": {"teams": ["T1"]}}, "outsider"),
        ({}, "outsider"),
        ({"enterprise_user": None, "team_id": None}, "outsider"),
    ],
)
def test_a_person_is_what_slack_says(user: dict[str, Any], standing: Standing) -> None:
    assert standing_of(user, "T1") == standing


class Slack(AsyncWebClient):
    """Answers ``users.info`` with ``said``, or an error's code."""

    def __init__(self, said: dict[str, Any] | str) -> None:
        super().__init__()
        self.said = said
        self.asked = 0

    async def users_info(self, **arguments: Any) -> AsyncSlackResponse:
        self.asked += 1
        data = {"ok": False, "error": self.said} if isinstance(self.said, str) else {"ok": True, "user": self.said}
        response = AsyncSlackResponse(
            client=self,
            http_verb="GET",
            api_url="users.info",
            req_args={},
            data=data,
            headers={},
            status_code=200,
        )
        if isinstance(self.said, str):
            raise SlackApiError("no", response)  # type: ignore[no-untyped-call]  # the SDK gives it no types
        return response


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def standings(slack: Slack, clock: Clock, otherwise: Standing = "guest") -> Standings:
    async def client_of(workspace: str) -> AsyncWebClient:
        return slack

    return Standings(client_of, lambda: otherwise, clock)


async def test_slack_is_asked_anew_when_what_it_said_is_old() -> None:
    slack, clock = Slack({"team_id": "T1", "is_admin": True}), Clock()
    found = standings(slack, clock)
    assert [await found.of(ME), await found.of(ME), slack.asked] == ["admin", "admin", 1]
    slack.said = {"team_id": "T1"}
    clock.now_s += STANDING_AGE_S_MAX
    assert [await found.of(ME), slack.asked] == ["member", 2]


async def test_where_slack_cannot_be_asked_what_it_said_last_counts_for_a_day() -> None:
    slack, clock = Slack({"team_id": "T1", "is_owner": True}), Clock()
    found = standings(slack, clock)
    await found.of(ME)
    slack.said = "internal_error"
    clock.now_s += STANDING_AGE_S_MAX
    assert await found.of(ME) == "owner"
    clock.now_s += STALE_AGE_S_MAX
    assert await found.of(ME) == "guest"


@pytest.mark.parametrize("otherwise", ["guest", "member"])
@pytest.mark.parametrize("error", ["missing_scope", "ratelimited", "token_revoked"])
async def test_of_whom_nothing_is_known_counts_as_the_house_decides_and_is_asked_again(
    error: str, otherwise: Standing
) -> None:
    slack = Slack(error)
    found = standings(slack, Clock(), otherwise)
    assert [await found.of(ME), await found.of(ME), slack.asked] == [otherwise, otherwise, 2]


async def test_whom_slack_does_not_know_is_no_member_of_the_workspace() -> None:
    found = standings(Slack("user_not_found"), Clock(), "member")
    assert await found.of(ME) == "outsider"


async def test_a_workspace_without_an_installation_lets_nobody_in() -> None:
    async def client_of(workspace: str) -> AsyncWebClient:
        raise PlatformError("not installed", None)

    assert await Standings(client_of, lambda: "guest").of(ME) == "guest"
