"""What comes in from Slack, over HTTP and over Socket Mode from the same handlers, goes through the house's door."""

import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from bot.errors import NOT_TAKEN, not_taken
from bot.platforms.base import Accepted, Address, Door, Form, Incoming, PlatformError
from bot.platforms.slack import SlackPlatform
from bot.platforms.slack_errors import answer_of
from bot.platforms.slack_pieces import SAY
from bot.platforms.slack_wire import Deleted, Edited, Heard, read_command, read_event, read_press, read_stop, ts_of
from ledger.errors import StoreFailed

if TYPE_CHECKING:
    from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
    from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext

log = logging.getLogger("carpool.slack")

COMMAND = "/carpool"
REFUSED_MAX = 1000
"""How many messages are remembered whose sender was told that nothing is taken."""

NOT_INSTALLED = "CarPool is not installed in this workspace any more: one of its admins has to install it anew."
LACKING = "Slack sent a command that lacks something. Try it again."


@dataclass(frozen=True, slots=True)
class Place:
    """A thread in which CarPool was asked, ``since`` the ts of the first question there that is known."""

    workspace: str
    channel: str
    thread: str
    since: str


class Places(Protocol):
    def note(self, address: Address, ts: str) -> None:
        """Something was accepted there."""
        ...


OpenForm: TypeAlias = Callable[[Address, str, Form], Awaitable[None]]
"""Opens a form for the person of an address, with the trigger_id of what was pressed."""


def bolt_app(
    platform: SlackPlatform,
    door: Door,
    more: Callable[["AsyncApp"], None] | None = None,
    open_form: OpenForm | None = None,
    places: Places | None = None,
) -> "AsyncApp":
    """The handlers. What is said is accepted, which is durable, before it is acknowledged. ``more`` registers others;
    ``places`` is told where something was asked.

    Signatures are checked where a request comes in (``bot.http.ingress``); Socket Mode has none.
    """
    from slack_bolt.async_app import AsyncApp
    from slack_bolt.authorization import AuthorizeResult
    from slack_bolt.response import BoltResponse

    async def authorize(
        team_id: str | None, enterprise_id: str | None, context: "AsyncBoltContext"
    ) -> AuthorizeResult | None:
        whole = enterprise_id if context.is_enterprise_install else None
        try:
            if team_id and whole:
                await platform.tokens.learn(team_id, whole)
            found = await platform.tokens.of(team_id or whole or "")
        except PlatformError as error:
            if error.retry_after_s is not None:
                raise
            return None
        bot = found.bot or await platform.user()
        return AuthorizeResult(
            enterprise_id=enterprise_id, team_id=team_id, bot_user_id=bot or None, bot_token=found.token.reveal()
        )

    app = AsyncApp(
        name="carpool",
        logger=logging.getLogger("slack_bolt"),
        client=platform.client,
        authorize=authorize,  # type: ignore[arg-type]  # None is what Bolt documents for: not installed
        signing_secret="",
        request_verification_enabled=False,
        process_before_response=True,
        attaching_conversation_kwargs_enabled=False,
        user_facing_authorize_error_message=platform.say(NOT_INSTALLED),
    )

    async def on_other_event(body: dict[str, Any]) -> None:
        # `app_context_changed` among them: what a person looks at is nothing that we were told by them.
        log.debug("an event that nothing answers")

    async def on_error(error: Exception) -> BoltResponse:
        # Anything but 200 makes Slack deliver it again.
        log.error("a Slack event was not accepted", exc_info=error)
        return BoltResponse(status=503 if isinstance(error, StoreFailed) else 500, body=platform.say(NOT_TAKEN))

    Handlers(platform, door, open_form, places).register(app)
    if more is not None:
        more(app)
    app.event(re.compile(".*"))(on_other_event)
    app.error(on_error)
    return app


class Handlers:
    """What is done with each kind of event. Each raises ``StoreFailed`` where it could not be recorded."""

    def __init__(self, platform: SlackPlatform, door: Door, open_form: OpenForm | None, places: Places | None) -> None:
        self._platform = platform
        self._door = door
        self._open_form = open_form
        self._places = places
        self._refused: deque[str] = deque(maxlen=REFUSED_MAX)

    def register(self, app: "AsyncApp") -> None:
        async def on_event(body: dict[str, Any]) -> None:
            await self.event(body)

        async def on_stopped(body: dict[str, Any]) -> None:
            await self.stopped(body)

        async def in_messages(event: dict[str, Any]) -> bool:
            return event.get("tab") == "messages"

        async def on_opened(body: dict[str, Any], event: dict[str, Any]) -> None:
            await self.opened(body, event)

        async def on_command(body: dict[str, Any], ack: "AsyncAck") -> None:
            await self.command(body, ack)

        async def on_press(body: dict[str, Any], ack: "AsyncAck") -> None:
            await self.press(body, ack)

        app.event("app_mention")(on_event)
        app.event("message")(on_event)
        app.event("agent_session_stopped")(on_stopped)
        app.event("app_home_opened", matchers=[in_messages])(on_opened)
        app.command(COMMAND)(on_command)
        app.action(re.compile(f"^{SAY}_"))(on_press)

    async def event(self, body: dict[str, Any]) -> None:
        event = read_event(body)
        try:
            await self._take(event)
        except StoreFailed as error:
            # Slack says again what was not taken, and tells nothing more after a time in which nothing was.
            if error.reason != "changed":
                raise
            if isinstance(event, Heard) and event.incoming.event_identity not in self._refused:
                self._refused.append(event.incoming.event_identity)  # a mention is told of twice
                self._say_aside(event.incoming, error)

    async def _take(self, event: Heard | Edited | Deleted | None) -> None:
        match event:
            case Heard(incoming, to_us):
                # A thread in which CarPool was asked before is followed without a mention.
                if to_us or await self._door.knows(incoming.address):
                    await self._accept(incoming)
                    if self._places is not None:
                        self._places.note(incoming.address, ts_of(incoming.event_identity))
            case Edited(incoming, edit):
                await self._door.amend(await self._with_standing(incoming), edit)
            case Deleted(address, event_identity):
                await self._door.withdraw(address, event_identity)
            case None:
                pass

    async def stopped(self, body: dict[str, Any]) -> None:
        """The person pressed Slack's own Stop. Slack leaves it to us to say that nothing is at work any more."""
        address = read_stop(body)
        if address is not None and not self._door.stop(self._door.conversation(address)):
            self._platform.in_background(self._platform.sessions.over(address))

    async def opened(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        team, channel = body.get("team_id"), event.get("channel")
        if isinstance(team, str) and isinstance(channel, str):
            self._platform.in_background(self._platform.sessions.suggest(team, channel))

    async def command(self, body: dict[str, Any], ack: "AsyncAck") -> None:
        incoming = read_command(body)
        if incoming is None:
            await ack(self._platform.say(LACKING))
            return
        try:
            await self._accept_or_ask(incoming, str(body["trigger_id"]))
        except StoreFailed as error:
            # Slack does not deliver a command twice: its sender is told.
            await ack(not_taken(error, self._platform.say))
            return
        await ack()

    async def press(self, body: dict[str, Any], ack: "AsyncAck") -> None:
        incoming = read_press(body)
        if incoming is not None:
            try:
                await self._accept_or_ask(incoming, str(body.get("trigger_id") or ""))
            except StoreFailed as error:
                # As with a command.
                self._say_aside(incoming, error)
        await ack()

    def _say_aside(self, incoming: Incoming, error: StoreFailed) -> None:
        sentence = not_taken(error, self._platform.say)
        self._platform.in_background(self._platform.say_aside(incoming.address, sentence))

    async def _accept_or_ask(self, incoming: Incoming, trigger: str) -> None:
        """Accept it, or open the form that it asks for."""
        incoming = await self._with_standing(incoming)
        if self._open_form is not None:
            form = await self._door.form(incoming.address, incoming.standing, incoming.text)
            if form is not None:
                await self._open_form(incoming.address, trigger, form)
                return
        await self._accept(incoming)

    async def _accept(self, incoming: Incoming) -> Accepted:
        accepted = await self._door.accept(await self._with_standing(incoming))
        if accepted.fresh:
            self._platform.expect(accepted.turn, "" if incoming.in_thread else incoming.text)
        return accepted

    async def _with_standing(self, incoming: Incoming) -> Incoming:
        return replace(incoming, standing=await self._platform.standing(incoming.address))


PING_S = 10.0
"""How often Slack is asked over the connection whether it is there still, and waited between two tries to connect."""


class SlackSocket:
    """Socket Mode: events over a connection that we open. Use as ``async with``.

    ``missed`` is told of each new connection behind the first: what was said between them may have come to nobody.
    """

    def __init__(
        self,
        platform: SlackPlatform,
        bolt: "AsyncApp",
        app_token: str,
        missed: Callable[[], None] = lambda: None,
        ping_s: float = PING_S,
    ) -> None:
        self._platform = platform
        self._bolt = bolt
        self._app_token = app_token
        self._missed = missed
        self._ping_s = ping_s
        self._greeted = False
        self._handler: AsyncSocketModeHandler | None = None

    async def __aenter__(self) -> "SlackSocket":
        """Connected on return. Raises ``PlatformError``."""
        from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler

        # The handler tries again for ever, whatever Slack says: so Slack is asked once whether it takes the token.
        await answer_of(self._platform.client.apps_connections_open(app_token=self._app_token))
        self._handler = AsyncSocketModeHandler(self._bolt, self._app_token, ping_interval=self._ping_s)
        self._handler.client.message_listeners.append(self._on_message)
        await self._handler.connect_async()  # type: ignore[no-untyped-call]  # Bolt gives it no types
        return self

    async def _on_message(self, client: object, message: dict[str, Any], raw: str | None) -> None:
        """Slack greets each connection: from then on, what is said comes in by it."""
        if message.get("type") == "hello":
            if self._greeted:
                log.info("connected to Slack anew")
                self._missed()
            self._greeted = True

    async def __aexit__(self, *exc_info: object) -> None:
        if self._handler is not None:
            await self._handler.close_async()  # type: ignore[no-untyped-call]  # as above
