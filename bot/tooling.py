"""The composition root's part for tools: it and nobody else names concrete ones.

To add one: a few lines in ``toolbox_of``, and its settings. Nothing is imported of a service that is not set up.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from bot.mcp_servers import ServerTable
from bot.settings import Settings
from integrations.oauth import OAuthApp
from integrations.services import Service, who_at
from integrations.tools.base import EMPTY_TOOLBOX, PlaceToken, Tokens, Tool, Toolbox, ToolError, Use

log = logging.getLogger(__name__)

GITHUB_URL = "https://github.com"
GITHUB_API_URL = "https://api.github.com"
NOTION_VERSION = "2025-09-03"


def services_of(settings: Settings) -> Mapping[str, Service]:
    """What people can connect, by the name that they write."""
    if not settings.tools_enabled:
        return {}
    google, notion = _google(settings), settings.notion_api_url.rstrip("/")
    services = (
        Service(
            "github",
            "GitHub",
            who_at("GitHub", settings.github_api_url.rstrip("/"), "/user", "login"),
            "GitHub makes one under Settings, Developer settings, Fine-grained tokens: allow it what it needs, and no more.",
            _github_app(settings),
        ),
        *((google,) if google else ()),
        Service(
            "notion",
            "Notion",
            who_at(
                "Notion",
                notion,
                "/v1/users/me",
                "name",
                version=("Notion-Version", NOTION_VERSION),
            ),
            "Notion makes one under My integrations; share with it the pages that it may see, and no more.",
        ),
    )
    return {service.name: service for service in services}


def _github_app(settings: Settings) -> OAuthApp | None:
    """GitHub's tokens of OAuth reach every repository of the person: a pasted, fine-grained one reaches less."""
    if not settings.github_client_id:
        return None
    api = settings.github_api_url.rstrip("/")
    site = GITHUB_URL if api == GITHUB_API_URL else api.removesuffix("/api/v3")
    return OAuthApp(
        "GitHub",
        settings.github_client_id,
        settings.github_client_secret.reveal(),
        ("repo",),
        f"{site}/login/oauth/authorize",
        f"{site}/login/oauth/access_token",
        f"{api}/applications/{settings.github_client_id}/token",
        "github",
        f"{site}/login/device/code",
    )


def _google(settings: Settings) -> Service | None:
    """Gmail, with the least scope in which mails can be read, written, sent and labelled: none can be deleted for good."""
    if not (settings.google_client_id and settings.google_client_secret):
        return None
    app = OAuthApp(
        "Google",
        settings.google_client_id,
        settings.google_client_secret.reveal(),
        ("https://www.googleapis.com/auth/gmail.modify",),
        "https://accounts.google.com/o/oauth2/v2/auth",
        "https://oauth2.googleapis.com/token",
        "https://oauth2.googleapis.com/revoke",
        loopback=True,
        # Without these Google gives a refresh token the first time only.
        more={"access_type": "offline", "prompt": "consent"},
    )
    url = settings.gmail_api_url.rstrip("/")
    return Service("gmail", "Gmail", who_at("Gmail", url, "/gmail/v1/users/me/profile", "emailAddress"), oauth=app)


async def toolbox_of(
    settings: Settings,
    clock: Callable[[], int],
    tokens: Tokens | None = None,
    places: Mapping[str, PlaceToken] = MappingProxyType({}),
    usage: Callable[[Use], Awaitable[str]] | None = None,
) -> Toolbox:
    """All that is set up, with ``tokens`` what people can connect, and with ``places`` what acts with the token of a workspace
    that let CarPool in; with ``usage`` what tells an asker what they have spent. An MCP server that cannot be reached is left
    out, and the log says so."""
    if not settings.tools_enabled:
        return EMPTY_TOOLBOX
    from integrations.tools.calculator import calculator_tool
    from integrations.tools.clock import clock_tool

    local: list[Tool] = [clock_tool(clock), calculator_tool()]
    if usage is not None:
        from integrations.tools.usage import usage_tool

        local.append(usage_tool(usage))
    own = frozenset(tool.spec.name for tool in local)
    if settings.web_hosts:
        from integrations.tools.web_page import web_page_tool

        local.append(web_page_tool(settings.web_hosts))
    tools = {tool.spec.name: tool for tool in local}
    secrets: list[str] = []
    unconnected: set[str] = set()
    if settings.github_token or settings.github_enabled or tokens is not None:
        from integrations.tools.github import github_tools

        own_token = settings.github_token.reveal()
        found = github_tools(own_token, settings.github_api_url, connectable=tokens is not None)
        tools |= found
        secrets.append(own_token)
        if not own_token:
            reads = settings.github_enabled
            unconnected |= {name for name, tool in found.items() if tool.spec.effect == "write" or not reads}
    if tokens is not None and _google(settings) is not None:
        from integrations.tools.gmail import gmail_tools

        mails = gmail_tools(settings.gmail_api_url.rstrip("/"))
        tools |= mails
        unconnected |= set(mails)
    if settings.notion_token or tokens is not None:
        from integrations.tools.notion import notion_tools

        pages = notion_tools(settings.notion_token.reveal(), settings.notion_api_url)
        tools |= pages
        secrets.append(settings.notion_token.reveal())
        unconnected |= set() if settings.notion_token else set(pages)
    if settings.slack_tools and (settings.slack_bot_token or "slack" in places):
        from integrations.tools.slack_tools import slack_tools

        speaking, searching = settings.slack_bot_token.reveal(), settings.slack_search_token.reveal()
        tools |= slack_tools(speaking, clock, settings.slack_api_url, searching)
        secrets += [speaking, searching]
    if settings.stripe_tools_key:
        from integrations.tools.stripe_tools import stripe_tools

        tools |= stripe_tools(settings.stripe_tools_key.reveal(), settings.stripe_tools_url)
        secrets.append(settings.stripe_tools_key.reveal())
    for server in settings.mcp_servers:
        for name, tool in (await _of_server(server)).items():
            # A server must not take the place of a tool that people know.
            tools.setdefault(name, tool)
        secrets += [server.token.reveal(), *(value.reveal() for value in server.environment.values())]
    return Toolbox(tools, tuple(filter(None, secrets)), own, tokens, frozenset(unconnected), places)


async def _of_server(server: ServerTable) -> Mapping[str, Tool]:
    from integrations.tools.mcp import McpServer, mcp_tools

    environment = {name: value.reveal() for name, value in server.environment.items()}
    try:
        token, distrusted = server.token.reveal(), server.every_tool_writes
        return await mcp_tools(McpServer(server.name, server.command, server.url, environment, token, distrusted))
    except ToolError as error:
        log.warning("the tools of an MCP server are left out: %s", error)
        return {}
