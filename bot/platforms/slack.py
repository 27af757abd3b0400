"""CarPool in Slack: mentions, direct messages and `/carpool`, over HTTP and over Socket Mode from the same handlers."""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from bot.platforms.base import (
    Accepted,
    Address,
    Attached,
    Incoming,
    Overheard,
    PlatformError,
    PlatformName,
    Presence,
    Reply,
    Screen,
    Silent,
)
from bot.platforms.slack_errors import of_answer, of_connection
from bot.platforms.slack_wire import (
    PRIVATE_PIECES_MAX,
    SLACK,
    pieces_of,
    pieces_there,
    read_command,
    read_event,
)
from ledger.errors import StoreFailed
from ledger.pseudonyms import TurnId

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
    from slack_bolt.async_app import AsyncApp
    from slack_sdk.errors import SlackApiError
    from slack_sdk.web.async_client import AsyncWebClient
    from slack_sdk.web.async_slack_response import AsyncSlackResponse

log = logging.getLogger("carpool.slack")

API_URL = "https://slack.com/api/"
CALL_TIMEOUT_S = 15
REPLIES_PAGE = 200
REPLIES_PAGES_MAX = 20
COMMAND = "/carpool"
NOT_RECORDED = "CarPool cannot take messages at the moment, so this was not taken. Try again in a few minutes."

Accept: TypeAlias = Callable[[Incoming], Awaitable[Accepted]]


class SlackPlatform:
    """Fits ``bot.platforms.base.Platform``. Building it connects to nothing and imports no SDK."""

    def __init__(self, bot_token: str, api_url: str = API_URL) -> None:
        self._bot_token = bot_token
        self._api_url = api_url
        self._web: AsyncWebClient | None = None
        self._session: ClientSession | None = None
        self._user = ""
        # What ``find`` saw of a reply that is only partly there, for the ``send`` that follows.
        self._partly: dict[tuple[TurnId, int], frozenset[int]] = {}

    @property
    def name(self) -> PlatformName:
        return SLACK

    @property
    def client(self) -> "AsyncWebClient":
        if self._web is None:
            from aiohttp import ClientSession, ClientTimeout
            from slack_sdk.web.async_client import AsyncWebClient

            self._session = ClientSession(timeout=ClientTimeout(total=CALL_TIMEOUT_S))
            self._web = AsyncWebClient(
                token=self._bot_token,
                base_url=self._api_url,
                timeout=CALL_TIMEOUT_S,
                # Without a session of its own the SDK opens a connection for each call.
                session=self._session,
                # Each post is tried once: the turn looks whether it is there before it posts again.
                retry_handlers=[],
                logger=logging.getLogger("slack_sdk"),
            )
        return self._web

    async def user(self) -> str:
        """The bot's own user id; empty where Slack cannot be asked now."""
        if not self._user:
            try:
                await self.check()
            except PlatformError as error:
                log.warning("Slack refuses the bot token", extra={"cause": str(error)})
        return self._user

    async def check(self) -> None:
        """Raises ``PlatformError`` where Slack refuses the token. Where it cannot be asked now, it is asked later."""
        try:
            self._user = str((await _answer(self.client.auth_test())).get("user_id") or "")
        except PlatformError as error:
            if error.retry_after_s is None:
                raise
            log.warning("Slack could not be asked who the bot is", extra={"cause": str(error)})

    def screen(self, to: Address, turn: TurnId) -> Screen:
        return Silent()

    async def send(self, to: Address, turn: TurnId, part: int, reply: Reply) -> None:
        if to.reply_url:
            await self._send_privately(to, reply)
            return
        there = self._partly.pop((turn, part), frozenset())
        for piece in pieces_of(reply):
            if piece.number not in there:
                await _answer(
                    self.client.chat_postMessage(
                        channel=to.channel,
                        thread_ts=to.thread or None,
                        text=piece.text,
                        blocks=piece.blocks,
                        metadata=piece.metadata(turn, part),
                        unfurl_links=False,
                        unfurl_media=False,
                    )
                )

    async def find(self, to: Address, turn: TurnId, part: int) -> Presence:
        if to.reply_url:
            return "unknown"
        there: dict[int, int] = {}
        cursor = ""
        for _ in range(REPLIES_PAGES_MAX):
            asking = self.client.api_call(
                # A form by POST, as every method takes it; the SDK's own wrapper sends a GET, which not every server has.
                "conversations.replies",
                data={
                    "channel": to.channel,
                    "ts": to.thread,
                    "limit": REPLIES_PAGE,
                    "include_all_metadata": "true",
                    "cursor": cursor,
                },
            )
            try:
                page = await _answer(asking)
            except PlatformError as error:
                if error.retry_after_s is not None:
                    raise
                # Without the scope for it, or with the thread gone, nothing can be looked at.
                log.warning("Slack does not show the thread", extra={"turn": turn, "cause": str(error)})
                return "unknown"
            there |= pieces_there(page.get("messages") or [], await self.user(), turn, part)
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                break
        else:
            return "unknown"
        if there and all(number in there for number in range(1, max(there.values()) + 1)):
            return "there"
        self._partly[turn, part] = frozenset(there)
        return "absent"

    async def overhear(self, to: Address, before: str, count_max: int) -> Sequence[Overheard]:
        return ()

    async def fetch(self, to: Address, attached: Attached, bytes_max: int) -> bytes:
        raise PlatformError("files are not read from Slack", None)

    async def _send_privately(self, to: Address, reply: Reply) -> None:
        """To the asker alone, by the address that the slash command came with; later than that, into the channel."""
        from aiohttp import ClientError
        from slack_sdk.errors import SlackClientError
        from slack_sdk.webhook.async_client import AsyncWebhookClient

        self._check_reply_url(to.reply_url)
        webhook = AsyncWebhookClient(
            to.reply_url, timeout=CALL_TIMEOUT_S, retry_handlers=[], logger=logging.getLogger("slack_sdk")
        )
        for piece in pieces_of(reply, PRIVATE_PIECES_MAX):
            body = {"response_type": "ephemeral", "text": piece.text, "blocks": list(piece.blocks)}
            try:
                answer = await webhook.send_dict(body)
            except (ClientError, SlackClientError, TimeoutError, OSError) as error:
                raise of_connection(error) from error
            if answer.status_code in (403, 404, 410):
                await _answer(
                    self.client.chat_postEphemeral(
                        channel=to.channel, user=to.person, text=piece.text, blocks=piece.blocks
                    )
                )
            elif answer.status_code != 200:
                raise of_answer(answer.status_code, "", answer.headers.get("Retry-After"))

    def _check_reply_url(self, url: str) -> None:
        """Only Slack's own host is written to: the address came in with a request."""
        parts, api = urlsplit(url), urlsplit(self._api_url)
        slack = parts.scheme == "https" and parts.hostname == "hooks.slack.com"
        own = (parts.scheme, parts.hostname, parts.port) == (api.scheme, api.hostname, api.port)
        if not (slack or own):
            raise PlatformError("Slack: a response_url that is not Slack's", None)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


async def _answer(calling: "Awaitable[AsyncSlackResponse]") -> dict[str, Any]:
    """What a call of the Web API gives. Raises ``PlatformError``."""
    from aiohttp import ClientError
    from slack_sdk.errors import SlackApiError, SlackClientError

    try:
        answer = await calling
    except SlackApiError as error:
        raise _refused(error) from error
    except (ClientError, SlackClientError, TimeoutError, OSError) as error:
        raise of_connection(error) from error
    return dict(answer.data) if isinstance(answer.data, dict) else {}


def _refused(error: "SlackApiError") -> PlatformError:
    response = error.response
    # A proxy in between answers with a page of its own, which has no code.
    code = response.data.get("error", "") if isinstance(response.data, dict) else ""
    headers = {name.casefold(): value for name, value in response.headers.items()}
    return of_answer(response.status_code, str(code), headers.get("retry-after"))


def bolt_app(platform: SlackPlatform, accept: Accept) -> "AsyncApp":
    """The handlers. A message is accepted, which is durable, before it is acknowledged.

    Signatures are checked where a request comes in (``bot.http.ingress``); Socket Mode has none.
    """
    from slack_bolt.async_app import AsyncAck, AsyncApp
    from slack_bolt.authorization import AuthorizeResult
    from slack_bolt.response import BoltResponse

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None, team_id=None, bot_user_id=await platform.user() or None, bot_token=platform.client.token
        )

    app = AsyncApp(
        name="carpool",
        logger=logging.getLogger("slack_bolt"),
        client=platform.client,
        authorize=authorize,
        signing_secret="",
        request_verification_enabled=False,
        process_before_response=True,
        attaching_conversation_kwargs_enabled=False,
    )

    async def on_event(body: dict[str, Any]) -> None:
        incoming = read_event(body)
        if incoming is not None:
            await accept(incoming)

    async def on_command(body: dict[str, Any], ack: AsyncAck) -> None:
        incoming = read_command(body)
        if incoming is None:
            await ack("Slack sent a command that lacks something. Try it again.")
            return
        try:
            await accept(incoming)
        except StoreFailed:
            # Slack does not deliver a command twice: its sender is told.
            await ack(NOT_RECORDED)
            return
        await ack()

    async def on_other_event(body: dict[str, Any]) -> None:
        log.debug("an event that nothing answers")

    async def on_error(error: Exception) -> BoltResponse:
        # Anything but 200 makes Slack deliver it again.
        log.error("a Slack event was not accepted", exc_info=error)
        return BoltResponse(status=503 if isinstance(error, StoreFailed) else 500, body=NOT_RECORDED)

    app.event("app_mention")(on_event)
    app.event("message")(on_event)
    app.command(COMMAND)(on_command)
    app.event(re.compile(".*"))(on_other_event)
    app.error(on_error)
    return app


class SlackSocket:
    """Socket Mode: events over a connection that we open. Use as ``async with``."""

    def __init__(self, platform: SlackPlatform, bolt: "AsyncApp", app_token: str) -> None:
        self._platform = platform
        self._bolt = bolt
        self._app_token = app_token
        self._handler: AsyncSocketModeHandler | None = None

    async def __aenter__(self) -> "SlackSocket":
        """Connected on return. Raises ``PlatformError``."""
        from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler

        # The handler tries again for ever, whatever Slack says: so Slack is asked once whether it takes the token.
        await _answer(self._platform.client.apps_connections_open(app_token=self._app_token))
        self._handler = AsyncSocketModeHandler(self._bolt, self._app_token)
        await self._handler.connect_async()  # type: ignore[no-untyped-call]  # Bolt gives it no types
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._handler is not None:
            await self._handler.close_async()  # type: ignore[no-untyped-call]  # as above
