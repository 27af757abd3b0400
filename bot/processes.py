"""The processes of the ``Procfile``, from their settings to their exit status."""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, TypeVar

from bot.app import (
    OpenHouse,
    callback_url,
    embedded_is_best,
    open_billing,
    open_consent,
    open_explorer,
    open_house,
    open_models,
    reconciling,
)
from bot.billing import Billing
from bot.commands.past import questions
from bot.commands.table import completing
from bot.consent import Consent
from bot.installs import Installs
from bot.notices import Notices
from bot.opening import close_if_changed, found_ledger, open_ledger
from bot.platforms.base import PlatformError
from bot.platforms.slack_needs import BOTH_WAYS
from bot.platforms.terminal import (
    EXIT_ANSWERED,
    EXIT_NOT_ANSWERED,
    EXIT_USAGE,
    Session,
    TerminalPlatform,
    answer_pipe,
    converse,
    read_question,
)
from bot.platforms.terminal_screen import TerminalScreen, say_aside
from bot.sentences import Sentences, sentences_of
from bot.settings import Settings
from bot.vault import Vault
from integrations.tools.base import PlaceToken
from ledger.errors import StoreFailed
from ledger.pseudonyms import Pseudonyms
from ledger.roadchain import RoadChain

if TYPE_CHECKING:  # imported where they are used, and only then
    from bot.http.connect import ConnectDoor
    from bot.http.payments import PaymentsDoor
    from bot.platforms.slack import SlackPlatform
    from bot.platforms.slack_install import Installer

T = TypeVar("T")

log = logging.getLogger("carpool.process")

SEEN_OF_SLACK = "slack-seen.json"
ASKED_BEFORE_MAX = 200
SEEN_OF_DISCORD = "discord.json"
"""In HOME: up to which message Discord has been heard."""

PLUG_IN = (
    "It is very small, so expect mistakes. For a better one put OPENAI_API_KEY=... or "
    "CARPOOL_LOCAL_MODEL=/path/to/model.gguf into a file named .env, and start again."
)


def question_of_pipe(settings: Settings) -> str | None:
    """None where it is no text: then that has been said."""
    try:
        return read_question(settings.limits)
    except UnicodeDecodeError as error:
        say_aside(
            f"The question is not UTF-8 text: the byte at position {error.start} does not fit. Nothing was asked."
        )
        return None


async def pipe(settings: Settings, question: str) -> int:
    """``echo question | carpool chat``: 0 answered, 1 not."""
    platform = TerminalPlatform(None, sentences_of(settings.language))
    async with open_models(settings) as models, open_house(settings, models, [platform]) as house:
        _see_that_it_records(house)
        return await _unless_failed(house, answer_pipe(house.intake, platform, question))


async def chat(settings: Settings, *, new: bool, colour: bool) -> int:
    """``carpool chat`` at a terminal."""
    screen, say = TerminalScreen(colour), sentences_of(settings.language)
    platform = TerminalPlatform(screen, say)
    session = Session.new() if new else Session.lasting()
    async with open_models(settings) as models, open_house(settings, models, [platform]) as house:
        _see_that_it_records(house)
        if not models.catalog.cards:
            screen.line(
                say("No model is connected, so nothing can be answered: `carpool doctor` says what is missing.")
            )
        for line in _welcome(settings, models.catalog.cards[0].label if models.catalog.cards else "none"):
            screen.line(line, dim=True)
        if embedded_is_best(settings, models.catalog):
            screen.line(say(PLUG_IN), dim=True)
        screen.line(say("/help lists the commands. Ctrl-C stops an answer, Ctrl-D leaves.") + "\n", dim=True)
        # The weights are read while the person types.
        warming = asyncio.create_task(models.warm_up())
        try:
            before = await _asked_before(house, session)
            desk = house.house.desk
            talking = converse(
                house.intake, platform, screen, session, before, lambda: completing(desk, session.address), house.door
            )
            return await _unless_failed(house, talking)
        finally:
            warming.cancel()
            await asyncio.gather(warming, return_exceptions=True)


def _welcome(settings: Settings, model: str) -> list[str]:
    return [
        f"CarPool. Model: {model}",
        f"What is said here is recorded in {settings.database_shown}",
    ]


async def web(settings: Settings, *, socket: bool) -> int:
    """``carpool web``: Slack over HTTP, or over Socket Mode; the health of the process over HTTP in either case."""
    missing = _missing_for_slack(settings, socket)
    slack = bool(settings.slack_bot_token or settings.slack_client_id)
    others = settings.explorer_enabled or settings.stripe_api_key or _leads_back(settings)
    if missing and not slack and others:
        return await _without_slack(settings)
    if missing:
        say_aside(missing)
        return EXIT_USAGE
    from bot.http.ingress import health_of, serve, web_app
    from bot.platforms.slack import SlackPlatform
    from bot.platforms.slack_catch_up import SeenPlaces, keeping_up
    from bot.platforms.slack_handlers import SlackSocket, bolt_app
    from bot.platforms.slack_views import Views, together

    platform = SlackPlatform(
        settings.slack_bot_token.reveal(), settings.slack_api_url, say=sentences_of(settings.language)
    )
    many = _Many(settings, platform)
    try:
        if settings.slack_bot_token:
            await platform.check()
    except PlatformError as error:
        await platform.aclose()
        say_aside(f"{error}. SLACK_BOT_TOKEN is refused: copy it anew from OAuth & Permissions in the app's settings.")
        return EXIT_NOT_ANSWERED
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        models = await stack.enter_async_context(open_models(settings))
        stack.push_async_callback(platform.aclose)
        house = await stack.enter_async_context(open_house(settings, models, [platform], many.prepare))
        explorer = await stack.enter_async_context(open_explorer(settings, house.house.desk.store))
        seen = SeenPlaces(settings.home / SEEN_OF_SLACK)
        views = Views(platform, house.door)
        more = (views,) if many.installer is None else (views, many.installer)
        bolt = bolt_app(platform, house.door, together(*more), views.open, places=seen)
        _stop_on_signals(stop)
        services = house.house.desk.services
        app = web_app(
            None if socket else bolt,
            settings.slack_signing_secret.reveal(),
            settings.limits.body_bytes_max,
            lambda: health_of(house.house.roadchain),
            explorer,
            payments=_payments(house.house.desk.billing, house.house.desk.say),
            installer=many.installer,
            connect=_connecting(settings, None if services is None else services.consent),
            say=house.house.desk.say,
        )
        try:
            if socket:
                await stack.enter_async_context(
                    SlackSocket(platform, bolt, settings.slack_app_token.reveal(), seen.gap.set)
                )
            await stack.enter_async_context(keeping_up(platform, house.door, seen))
            await _unless_failed(house, serve(app, settings.host, settings.port, stop, _tell_port), reads_on=True)
        except PlatformError as error:
            say_aside(f"{error}. See that SLACK_APP_TOKEN is right and that Socket Mode is on in the app's settings.")
            return EXIT_NOT_ANSWERED
        except OSError as error:
            say_aside(_not_listened_on(settings, error))
            return EXIT_NOT_ANSWERED
    return EXIT_ANSWERED


async def discord(settings: Settings) -> int:
    """``carpool discord``: over a connection to Discord that this process opens."""
    if not settings.discord_bot_token:
        say_aside("Not set: DISCORD_BOT_TOKEN. The README says under Discord where it is found; put it into .env.")
        return EXIT_USAGE
    from bot.platforms.discord import DiscordPlatform
    from bot.platforms.discord_gateway import DiscordGateway, Refused
    from bot.platforms.discord_seen import Seen, snowflake

    platform = DiscordPlatform(
        settings.discord_bot_token.reveal(), settings.discord_message_content, say=sentences_of(settings.language)
    )
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        models = await stack.enter_async_context(open_models(settings))
        # Closed when the turns under way have ended: they still have something to say.
        stack.push_async_callback(platform.aclose)
        try:
            await platform.login()
        except PlatformError as error:
            say_aside(f"{error}. {_REFUSED_BY_DISCORD if error.retry_after_s is None else _DISCORD_IS_AWAY}")
            return EXIT_NOT_ANSWERED
        house = await stack.enter_async_context(open_house(settings, models, [platform]))
        seen = Seen(settings.home / SEEN_OF_DISCORD, snowflake(time.time()))
        desk = house.house.desk
        gateway = DiscordGateway(platform, house.door, lambda address: completing(desk, address), seen)
        _stop_on_signals(stop)
        try:
            await _unless_failed(house, gateway.run(stop), reads_on=True)
        except Refused as error:
            say_aside(f"{error}. {error.remedy}")
            return EXIT_NOT_ANSWERED
    return EXIT_ANSWERED


_REFUSED_BY_DISCORD = (
    "DISCORD_BOT_TOKEN is not taken: make a new one under Bot of your application, and put it into .env."
)
_DISCORD_IS_AWAY = "Start again when Discord can be reached."


def _payments(billing: Billing, say: Sentences) -> "PaymentsDoor | None":
    cashier = billing.cashier
    if cashier is None:
        return None
    from bot.http.payments import PaymentsDoor

    return PaymentsDoor(cashier.receive, cashier.refuse, cashier.come_back, say)


def _leads_back(settings: Settings) -> bool:
    """Whether services send people back here who agreed to something."""
    return bool(callback_url(settings) and (settings.google_client_id or settings.github_client_id))


def _connecting(settings: Settings, consent: Consent | None) -> "ConnectDoor | None":
    if consent is None or not _leads_back(settings):
        return None
    from bot.http.connect import ConnectDoor

    return ConnectDoor(consent, callback_url(settings), sentences_of(settings.language))


async def _without_slack(settings: Settings) -> int:
    """``carpool web`` beside another platform's process: payments are taken, services lead back, and the ledger can be read."""
    from bot.http.ingress import health_of, serve, web_app

    stop = asyncio.Event()
    _stop_on_signals(stop)
    async with AsyncExitStack() as stack:
        store, keys = await stack.enter_async_context(open_ledger(settings))
        payments = consent = None
        roadchain = await stack.enter_async_context(RoadChain(store))
        await close_if_changed(roadchain, store)
        if settings.stripe_api_key or _leads_back(settings):
            await found_ledger(roadchain, store, keys, settings.origin)
            consent = await open_consent(settings, store, keys, roadchain)
            say = sentences_of(settings.language)
            notices = Notices(roadchain, store, Pseudonyms(keys.pseudonyms), say=say)
            billing = await stack.enter_async_context(open_billing(settings, store, roadchain, notices))
            payments = _payments(billing, say)
            await stack.enter_async_context(reconciling(settings, billing, store))
        explorer = await stack.enter_async_context(open_explorer(settings, store))
        connect = _connecting(settings, consent)
        most = settings.limits.body_bytes_max
        app = web_app(None, "", most, lambda: health_of(roadchain), explorer, payments=payments, connect=connect)
        try:
            await serve(app, settings.host, settings.port, stop, _tell_port)
        except OSError as error:
            say_aside(_not_listened_on(settings, error))
            return EXIT_NOT_ANSWERED
    return EXIT_ANSWERED


def _not_listened_on(settings: Settings, error: OSError) -> str:
    return f"{settings.host}:{settings.port} cannot be listened on ({error.strerror}): set PORT to another."


class _Many:
    """Slack's workspaces each with a token of its own, where the settings name the app instead of one token."""

    def __init__(self, settings: Settings, platform: "SlackPlatform") -> None:
        self._settings = settings
        self._platform = platform
        self.installer: Installer | None = None

    def prepare(self, vault: Vault, roadchain: RoadChain, pseudonyms: Pseudonyms) -> Mapping[str, PlaceToken]:
        from bot.platforms.slack_install import Installer
        from bot.platforms.slack_tokens import InstalledTokens, SlackOAuth, for_tools

        settings = self._settings
        if settings.slack_bot_token:
            return {}
        oauth = SlackOAuth(
            settings.slack_client_id,
            settings.slack_client_secret,
            settings.slack_api_url,
        )
        installs = Installs(vault, roadchain, pseudonyms, self._platform.name)
        tokens = InstalledTokens(installs, oauth)
        self._platform.tokens = tokens
        self.installer = Installer(oauth, installs, tokens, settings.public_url, tools=settings.slack_tools)
        return {self._platform.name: for_tools(tokens)}


def _missing_for_slack(settings: Settings, socket: bool) -> str:
    if settings.slack_bot_token and settings.slack_client_id:
        return BOTH_WAYS
    if settings.slack_client_id:
        wanted: list[tuple[str, object]] = [
            ("SLACK_CLIENT_SECRET", settings.slack_client_secret),
            ("CARPOOL_PUBLIC_URL", settings.public_url),
        ]
    else:
        wanted = [("SLACK_BOT_TOKEN", settings.slack_bot_token)]
    if socket:
        wanted.append(("SLACK_APP_TOKEN", settings.slack_app_token))
    else:
        wanted.append(("SLACK_SIGNING_SECRET", settings.slack_signing_secret))
    missing = [name for name, value in wanted if not value]
    if not missing:
        return ""
    return f"Not set: {' and '.join(missing)}. The README says under Slack where each is found; put them into .env."


def _tell_port(port: int) -> None:
    log.info("listening", extra={"port": port})


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C ends the process as it always does
            loop.add_signal_handler(name, stop.set)


async def _asked_before(house: OpenHouse, session: Session) -> list[str]:
    address = session.address
    conversation = house.pseudonyms.conversation(address.platform, address.workspace, address.channel, address.thread)
    store = house.house.desk.store
    return questions(await store.said_in(conversation, (await store.head()).size, 2 * ASKED_BEFORE_MAX))


def _see_that_it_records(house: OpenHouse) -> None:
    """Raises ``StoreFailed`` where the ledger was found changed: somebody at a terminal is told at once, and by the program."""
    if (failure := house.house.roadchain.failure) is not None:
        raise failure


async def _unless_failed(house: OpenHouse, work: Awaitable[T], *, reads_on: bool = False) -> T:
    """The work's result. Raises ``StoreFailed`` as soon as nothing can be recorded any more.

    ``reads_on``: where that is because the ledger was changed, the work goes on: whoever writes is told so, and what is
    recorded can be read. A start would come to the same.
    """
    working = asyncio.ensure_future(work)
    failing = asyncio.create_task(house.intake.failed.wait())
    try:
        await asyncio.wait({working, failing}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return await working
        failure = house.house.roadchain.failure
        if reads_on and failure is not None and failure.reason == "changed":
            return await working
        raise failure or StoreFailed("the ledger takes no more entries", "input_output")
    finally:
        for task in (working, failing):
            task.cancel()
        await asyncio.gather(working, failing, return_exceptions=True)


def both_are_terminals() -> bool:
    # A program may be started without either.
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
