"""What is on, off and wrong. Slack and the providers are asked what they think of the keys, which changes nothing there."""

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from adapters.messages import ProviderName
from bot.app import callback_url, open_shelf, stripe_of
from bot.connections import CHECK_S, Verdict, try_adapter
from bot.installs import installed
from bot.local import try_local_model
from bot.lucidia import cards
from bot.opening import ledger_doubts, ledger_exists, open_ledger, open_vault
from bot.platforms.base import PlatformName
from bot.platforms.slack_needs import BOTH_WAYS, INSTALL_PATH
from bot.providers import hosted
from bot.readers import without_password
from bot.secret import Secret
from bot.settings import Settings
from integrations.payments.base import PaymentError, PaymentMisconfigured
from ledger.errors import StoreError, StoreUnusable

FREE_BYTES_MIN = 200_000_000

State = Literal["on", "off", "wrong"]

SHOWN: Mapping[ProviderName, str] = {
    cards.OPENAI: "OpenAI",
    cards.ANTHROPIC: "Anthropic",
    cards.GOOGLE: "Google",
    cards.XAI: "xAI",
    cards.HUGGINGFACE: "Hugging Face",
    cards.BLACKROAD: "BlackRoad",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """``sentence`` says what is so, and where it is off or wrong also what to do."""

    state: State
    subject: str
    sentence: str


async def examine(settings: Settings) -> tuple[Finding, ...]:
    return (
        _disk(settings.home),
        await _ledger(settings),
        await _local(settings),
        *await _providers(settings),
        *await _slack(settings),
        _discord(settings),
        await _stripe(settings),
        *_services(settings),
    )


def _disk(home: Path) -> Finding:
    place = next(folder for folder in (home, *home.parents) if folder.exists())
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        return Finding(
            "wrong", "Disk", f"Nothing can be put into {place}. Set CARPOOL_HOME to a folder that may be written."
        )
    free = shutil.disk_usage(place).free
    if free < FREE_BYTES_MIN:
        return Finding("wrong", "Disk", f"{free // 1_000_000:,} MB are free at {place}: free some space.")
    return Finding("on", "Disk", f"{free // 1_000_000:,} MB are free at {place}.")


async def _ledger(settings: Settings) -> Finding:
    where = settings.database_shown
    try:
        if not await ledger_exists(settings):
            return Finding("off", "RoadChain", f"{where} is not there yet: it begins with the first conversation.")
        async with open_ledger(settings) as (store, _):
            size, fault = (await store.head()).size, await store.fault()
            doubts = await ledger_doubts(store)
    except StoreUnusable as error:
        return Finding("wrong", "RoadChain", f"{error}. {error.remedy}")
    except StoreError as error:
        return Finding("wrong", "RoadChain", f"{error}.")
    if fault:
        sentence = (
            f"{where} was found changed ({fault}), so that nothing is recorded. Restore a copy that is whole, or put right what"
            " was changed and run `carpool ledger reopen`."
        )
        return Finding("wrong", "RoadChain", sentence)
    if doubts:
        sentence = f"{where} may lose in a power cut what it has taken: {' and '.join(doubts)}. Turn it on there."
        return Finding("wrong", "RoadChain", sentence)
    return Finding("on", "RoadChain", f"{where} has {size:,} entries. `carpool ledger verify` checks each of them.")


async def _local(settings: Settings) -> Finding:
    if not settings.local_enabled:
        return Finding("off", "Local model", "Set CARPOOL_LOCAL_ENABLED=true to offer it.")
    weights, remedy = await try_local_model(settings)
    if weights is None:
        return Finding("wrong", "Local model", remedy)
    return Finding("on", "Local model", f"{weights.name}, on this machine. It was loaded to see that it can be.")


async def _providers(settings: Settings) -> tuple[Finding, ...]:
    adapters = {adapter.provider: adapter for adapter, _ in hosted(settings, open_shelf(settings))}
    asked = dict(zip(adapters, await asyncio.gather(*map(try_adapter, adapters.values())), strict=True))
    anthropic, google, xai = settings.anthropic_api_key, settings.google_key, settings.xai_api_key
    token = settings.hf_token
    return (
        _openai(settings, asked),
        _provider(
            cards.ANTHROPIC,
            "ANTHROPIC_API_KEY",
            anthropic,
            settings.anthropic_base_url,
            settings.anthropic_models,
            asked,
        ),
        _provider(cards.GOOGLE, "GEMINI_API_KEY", google, settings.google_base_url, settings.google_models, asked),
        _provider(cards.XAI, "XAI_API_KEY", xai, settings.xai_base_url, settings.xai_models, asked),
        _provider(
            cards.HUGGINGFACE, "HF_TOKEN", token, settings.huggingface_base_url, settings.huggingface_models, asked
        ),
        _blackroad(settings, asked),
    )


def _openai(settings: Settings, asked: Mapping[ProviderName, Verdict]) -> Finding:
    key, url, models = settings.openai_api_key, settings.openai_base_url, settings.openai_models
    if not (key or url):
        return Finding("off", "OpenAI", "Set OPENAI_API_KEY, or OPENAI_BASE_URL for a compatible server.")
    return _provider(cards.OPENAI, "OPENAI_API_KEY", key, url, models, asked)


def _provider(
    provider: ProviderName,
    variable: str,
    key: Secret,
    base_url: str,
    models: tuple[str, ...],
    asked: Mapping[ProviderName, Verdict],
) -> Finding:
    subject = SHOWN[provider]
    if not (key or base_url):
        return Finding("off", subject, f"Set {variable}.")
    where = f"Through {without_password(base_url)}, with" if base_url else "With"
    match asked.get(provider):
        case "refused":
            return Finding(
                "wrong", subject, f"It does not take the key in {variable}: make a new one there, and set that."
            )
        case "taken" if key:
            known = "It takes the key."
        case "taken":
            known = "It answers."
        case _:
            known = "Whether it answers, and takes the key, could not be found out now: the first answer shows it."
    return Finding("on", subject, f"{where} {', '.join(models)}. {known}")


def _blackroad(settings: Settings, asked: Mapping[ProviderName, Verdict]) -> Finding:
    if settings.blackroad_base_url and not settings.blackroad_api_key:
        return Finding("wrong", "BlackRoad", "CARPOOL_BLACKROAD_API_KEY is missing: without it nothing is answered.")
    if not settings.blackroad_base_url:
        return Finding(
            "off",
            "BlackRoad",
            "Not configured: set CARPOOL_BLACKROAD_BASE_URL, CARPOOL_BLACKROAD_API_KEY and CARPOOL_BLACKROAD_MODELS.",
        )
    key, url, models = settings.blackroad_api_key, settings.blackroad_base_url, settings.blackroad_models
    return _provider(cards.BLACKROAD, "CARPOOL_BLACKROAD_API_KEY", key, url, models, asked)


async def _slack(settings: Settings) -> tuple[Finding, ...]:
    bot, signing, app = settings.slack_bot_token, settings.slack_signing_secret, settings.slack_app_token
    many = bool(settings.slack_client_id)
    if not (bot or signing or app or many):
        return (_slack_is("off", "Set SLACK_BOT_TOKEN and SLACK_SIGNING_SECRET; the README has the steps."),)
    if not (signing or app):
        return (
            _slack_is(
                "wrong", "Set SLACK_SIGNING_SECRET for `carpool web`, or SLACK_APP_TOKEN for `carpool web --socket`."
            ),
        )
    if many and bot:
        return (_slack_is("wrong", BOTH_WAYS),)
    if many and not settings.slack_client_secret:
        return (_slack_is("wrong", "SLACK_CLIENT_SECRET is missing: it is under Basic Information of your app."),)
    if many and not settings.public_url:
        return (
            _slack_is("wrong", "Set CARPOOL_PUBLIC_URL: without it nobody can install CarPool in another workspace."),
        )
    ways = [way for way, key in (("`carpool web`", signing), ("`carpool web --socket`", app)) if key]
    ready = f"Ready for {' and '.join(ways)}."
    if not bot:
        if not many:
            return (_slack_is("wrong", "SLACK_BOT_TOKEN is missing: it is under OAuth & Permissions of your app."),)
        return await _slack_installed(settings, f"{ready} It is installed at {settings.public_url}{INSTALL_PATH}.")
    return await _slack_app(settings, ready)


async def _slack_installed(settings: Settings, ready: str) -> tuple[Finding, ...]:
    """The app that many workspaces installed: what was granted to each stands with its token."""
    from bot.platforms.slack_needs import scopes_missing
    from bot.platforms.slack_tokens import scopes_granted

    kept: tuple[Secret, ...] = ()
    try:
        if await ledger_exists(settings):
            async with open_ledger(settings) as (store, _):
                # A vault without anything in it may have no key yet, and the doctor makes none.
                if await store.all_secrets():
                    kept = await installed(await open_vault(settings, store), PlatformName("slack"))
    except StoreError:
        return (_slack_is("on", ready),)  # RoadChain's own finding says what is wrong with it
    granted = [scopes for sealed in kept if (scopes := scopes_granted(sealed)) is not None]
    lacking = Counter(scope for scopes in granted for scope in scopes_missing(scopes, tools=settings.slack_tools))
    if not lacking:
        return (_slack_is("on", ready),)
    return tuple(
        _slack_is(
            "wrong",
            f"In {count:,} of {len(granted):,} workspaces the scope {scope.name} is not granted, so {scope.without}: paste "
            f"`carpool slack manifest --http` into the app's settings, and install it again there, at "
            f"{settings.public_url}{INSTALL_PATH}.",
        )
        for scope, count in lacking.items()
    )


async def _slack_app(settings: Settings, ready: str) -> tuple[Finding, ...]:
    """The app as Slack knows it: each scope, event and setting that is missing is a finding."""
    from bot.platforms.slack_check import check_app

    found = await check_app(
        settings.slack_bot_token,
        settings.slack_app_token,
        settings.slack_config_token,
        settings.slack_api_url,
        tools=settings.slack_tools,
    )
    if found.unreachable:
        return (_slack_is("on", f"{ready} Slack could not be asked now whether the app has all that it needs."),)
    wrong = [
        *(
            f"The scope {scope.name} is not granted, so {scope.without}: add it under OAuth & Permissions, Bot Token Scopes, "
            "and install the app again."
            for scope in found.scopes
        ),
        *found.wrong,
    ]
    if wrong:
        return tuple(_slack_is("wrong", sentence) for sentence in wrong)
    where = f" In {found.team}." if found.team else ""
    rest = (
        "Scopes, events and settings are as they should be."
        if found.settings_known
        else "All scopes are granted. Its events and settings Slack shows only with SLACK_CONFIG_TOKEN: compare them with "
        "`carpool slack manifest`."
    )
    return (_slack_is("on", f"{ready}{where} {rest}"),)


def _slack_is(state: State, sentence: str) -> Finding:
    return Finding(state, "Slack", sentence)


async def _stripe(settings: Settings) -> Finding:
    stripe = stripe_of(settings)
    if stripe is None:
        return Finding(
            "off", "Stripe", "Set STRIPE_API_KEY, STRIPE_WEBHOOK_SECRET and STRIPE_RETURN_URL to take payments."
        )
    known = "It takes the key."
    try:
        async with asyncio.timeout(CHECK_S):
            await stripe.balance()
    except PaymentMisconfigured:
        sentence = (
            "It does not take the key in STRIPE_API_KEY: make a new one there, set that, and start CarPool again. What was paid "
            "meanwhile is recorded then."
        )
        return Finding("wrong", "Stripe", sentence)
    except (PaymentError, TimeoutError):
        known = "Whether it takes the key could not be found out now."
    finally:
        await stripe.aclose()
    if not settings.stripe_webhook_secrets:
        sentence = "STRIPE_WEBHOOK_SECRET is missing: a payment is seen once an hour, and not at once."
        return Finding("wrong", "Stripe", sentence)
    charged = "nothing is charged (CARPOOL_CHARGES)" if settings.charges == "none" else f"charged: {settings.charges}"
    return Finding(
        "on", "Stripe", f"{known} Payments are taken; {charged}. `carpool billing reconcile` compares the books."
    )


def _services(settings: Settings) -> tuple[Finding, ...]:
    """How people can connect each service that tools use. Whether an app's secret is right shows at the first consent."""
    if not settings.tools_enabled:
        return (Finding("off", "Services", "Set CARPOOL_TOOLS_ENABLED=true, and people can connect them."),)
    back = callback_url(settings)
    found: list[Finding] = []
    for variable, name, ident, secret in (
        ("GITHUB", "GitHub", settings.github_client_id, settings.github_client_secret),
        ("GOOGLE", "Gmail", settings.google_client_id, settings.google_client_secret),
    ):
        if bool(ident) != bool(secret):
            sentence = f"{variable}_CLIENT_ID and {variable}_CLIENT_SECRET go together, and one of them is missing."
            found.append(Finding("wrong", name, sentence))
        elif ident:
            where = f"in Slack and Discord too; enter {back} there as the way back" if back else "at the terminal alone"
            more = "" if back else ": set CARPOOL_PUBLIC_URL to change that"
            found.append(Finding("on", name, f"People connect it by agreeing there (`/connect`), {where}{more}."))
        elif name == "Gmail":
            found.append(
                Finding("off", name, "Set GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET, and people can connect it.")
            )
    if not settings.github_client_id and not settings.github_client_secret:
        found.insert(0, Finding("on", "GitHub", "People connect it with a token of theirs (`/connect github`)."))
    found.append(Finding("on", "Notion", "People connect it with a token of theirs (`/connect notion`)."))
    return tuple(found)


def _discord(settings: Settings) -> Finding:
    token = settings.discord_bot_token
    if not token:
        return Finding("off", "Discord", "Set DISCORD_BOT_TOKEN; the README has the steps.")
    if token.reveal().count(".") != 2:
        return Finding(
            "wrong",
            "Discord",
            "DISCORD_BOT_TOKEN is no bot token: those have two dots. It is under Bot of your application, by Reset Token.",
        )
    heard = (
        "It reads all messages: turn on Message Content under Bot of your application too."
        if settings.discord_message_content
        else "It reads what mentions it, replies to it or is written to it directly."
    )
    return Finding("on", "Discord", f"Ready for `carpool discord`. {heard}")
