"""What Slack says of a person: owner, admin, member, guest, or of another organisation.

Source: docs.slack.dev, "users.info", "User object".
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from bot.platforms.base import Address, PlatformError, Standing
from bot.platforms.slack_errors import SlackError, answer_of

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

log = logging.getLogger("carpool.slack")

STANDING_AGE_S_MAX = 300.0
"""How long what Slack said of a person counts: whoever loses their rights there has lost them here by then."""

STALE_AGE_S_MAX = 86_400.0
"""How long it counts where Slack cannot be asked anew."""

LOOK_S_MAX = 1.5
"""How long Slack is waited for: it wants to hear within three seconds that an event was taken."""

REMEMBERED_MAX = 10_000
UNKNOWN_PEOPLE = ("user_not_found", "user_not_visible", "users_not_found")


class Standings:
    """``otherwise`` is what a person counts as of whom Slack cannot be asked: it gives that for their workspace."""

    def __init__(
        self,
        client_of: "Callable[[str], Awaitable[AsyncWebClient]]",
        otherwise: Callable[[], Standing],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client_of = client_of
        self._otherwise = otherwise
        self._clock_s = clock_s
        self._seen: OrderedDict[tuple[str, str], tuple[Standing, float]] = OrderedDict()

    async def of(self, address: Address) -> Standing:
        """Raises ``StoreFailed``."""
        key = address.workspace, address.person
        known, at_s = self._seen.get(key, (None, 0.0))
        if known is not None and self._clock_s() - at_s < STANDING_AGE_S_MAX:
            return known
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                client = await self._client_of(address.workspace)
                answer = await answer_of(client.users_info(user=address.person))
        except (PlatformError, TimeoutError) as error:
            if isinstance(error, SlackError) and error.code in UNKNOWN_PEOPLE:
                return self._remember(key, "outsider")
            log.warning("Slack could not be asked who somebody is", extra={"cause": str(error)})
            if known is not None and self._clock_s() - at_s < STALE_AGE_S_MAX:
                return known
            return self._otherwise()
        user = answer.get("user")
        return self._remember(key, standing_of(user if isinstance(user, Mapping) else {}, address.workspace))

    def _remember(self, key: tuple[str, str], standing: Standing) -> Standing:
        self._seen[key] = standing, self._clock_s()
        self._seen.move_to_end(key)
        while len(self._seen) > REMEMBERED_MAX:
            self._seen.popitem(last=False)
        return standing


def standing_of(user: Mapping[str, Any], workspace: str) -> Standing:
    """``user`` is Slack's user object, as it is seen from ``workspace``. What is not said counts against the person."""
    if user.get("is_stranger") or user.get("deleted") or not _belongs(user, workspace):
        return "outsider"
    if user.get("is_ultra_restricted") or user.get("is_restricted") or user.get("is_bot"):
        return "guest"
    if user.get("is_owner") or user.get("is_primary_owner"):
        return "owner"
    return "admin" if user.get("is_admin") else "member"


def _belongs(user: Mapping[str, Any], workspace: str) -> bool:
    """By the person's own workspace; in an organisation, by any of those that they are in."""
    of_organisation = user.get("enterprise_user")
    teams = of_organisation.get("teams") if isinstance(of_organisation, Mapping) else None
    return workspace == user.get("team_id") or (isinstance(teams, list) and workspace in teams)
