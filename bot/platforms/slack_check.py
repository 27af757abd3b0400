"""Whether a Slack app is as CarPool needs it, asked of Slack before the first message. Nothing is changed there."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.platforms.slack_needs import Scope, scopes_missing, settings_missing
from bot.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from slack_sdk.web.async_client import AsyncWebClient
    from slack_sdk.web.async_slack_response import AsyncSlackResponse

CALL_TIMEOUT_S = 15
REFUSED = ("invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired")


@dataclass(frozen=True, slots=True)
class Checked:
    """What Slack says. ``unreachable``: it could not be asked, and the rest says nothing. ``wrong`` are sentences with what to
    do; ``settings_known`` is whether events and settings could be compared too."""

    unreachable: bool = False
    team: str = ""
    scopes: tuple[Scope, ...] = ()
    wrong: tuple[str, ...] = ()
    settings_known: bool = False


async def check_app(
    bot_token: Secret, app_token: Secret, config_token: Secret, api_url: str, *, tools: bool
) -> Checked:
    """``app_token`` and ``config_token`` may be empty: then Socket Mode, or events and settings, are not looked at. ``tools``:
    whether Slack is a tool here too, which asks for more scopes."""
    from slack_sdk.web.async_client import AsyncWebClient

    client = AsyncWebClient(
        token=bot_token.reveal(),
        base_url=api_url,
        timeout=CALL_TIMEOUT_S,
        retry_handlers=[],
        logger=logging.getLogger("slack_sdk"),
    )
    answer, error = await _asked(client.auth_test())
    if answer is None:
        if error in REFUSED:
            return Checked(
                wrong=(f"Slack refuses SLACK_BOT_TOKEN ({error}): copy it anew from OAuth & Permissions of your app.",)
            )
        return Checked(unreachable=True)
    headers = {str(name).casefold(): str(value) for name, value in answer.headers.items()}
    granted = [name.strip() for name in headers.get("x-oauth-scopes", "").split(",")]
    wrong: list[str] = []
    if app_token:
        _, error = await _asked(client.apps_connections_open(app_token=app_token.reveal()))
        if error:
            wrong.append(
                f"Slack refuses SLACK_APP_TOKEN ({error}): it needs the scope connections:write, and Socket Mode has to be on "
                "in the app's settings."
            )
    known = False
    if config_token:
        lacking, known = await _compared(client, str(answer.get("bot_id") or ""), config_token)
        wrong += lacking
    return Checked(False, str(answer.get("team") or ""), scopes_missing(granted, tools=tools), tuple(wrong), known)


async def _compared(client: "AsyncWebClient", bot_id: str, config_token: Secret) -> tuple[tuple[str, ...], bool]:
    """The app's own manifest beside what is needed; whether it could be had."""
    bot, error = await _asked(client.bots_info(bot=bot_id))
    app_id = "" if bot is None else str(_mapping(bot.get("bot")).get("app_id") or "")
    if not app_id:
        return (f"Slack does not say which app the bot token is of ({error or 'no app_id'}).",), False
    exported, error = await _asked(client.apps_manifest_export(app_id=app_id, token=config_token.reveal()))
    if exported is None:
        return (
            f"Slack refuses SLACK_CONFIG_TOKEN ({error}): it is good for twelve hours; make a new one under Your App "
            "Configuration Tokens, on the page that lists your apps.",
        ), False
    return settings_missing(_mapping(exported.get("manifest"))), True


async def _asked(calling: "Awaitable[AsyncSlackResponse]") -> "tuple[AsyncSlackResponse | None, str]":
    """The answer; or none, with Slack's error, or what kept it from answering."""
    from aiohttp import ClientError
    from slack_sdk.errors import SlackApiError, SlackClientError

    try:
        return await calling, ""
    except SlackApiError as error:
        data = error.response.data
        return None, str(data.get("error", "")) if isinstance(data, dict) else str(error.response.status_code)
    except (ClientError, SlackClientError, TimeoutError, OSError) as error:
        return None, type(error).__name__


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
