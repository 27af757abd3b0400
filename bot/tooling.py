"""The composition root's part for tools: it and nobody else names concrete ones.

To add one: a few lines in ``toolbox_of``, and its settings. Nothing is imported of a service that is not set up.
"""

import logging
from collections.abc import Callable, Mapping

from bot.mcp_servers import ServerTable
from bot.settings import Settings
from integrations.tools.base import EMPTY_TOOLBOX, Tool, Toolbox, ToolError

log = logging.getLogger(__name__)


async def toolbox_of(settings: Settings, clock: Callable[[], int]) -> Toolbox:
    """All that is set up. An MCP server that cannot be reached is left out, and the log says so."""
    if not settings.tools_enabled:
        return EMPTY_TOOLBOX
    from integrations.tools.calculator import calculator_tool
    from integrations.tools.clock import clock_tool

    local: list[Tool] = [clock_tool(clock), calculator_tool()]
    own = frozenset(tool.spec.name for tool in local)
    if settings.web_hosts:
        from integrations.tools.web_page import web_page_tool

        local.append(web_page_tool(settings.web_hosts))
    tools = {tool.spec.name: tool for tool in local}
    secrets: list[str] = []
    if settings.github_token or settings.github_enabled:
        from integrations.tools.github import github_tools

        tools |= github_tools(settings.github_token.reveal(), settings.github_api_url)
        secrets.append(settings.github_token.reveal())
    if settings.notion_token:
        from integrations.tools.notion import notion_tools

        tools |= notion_tools(settings.notion_token.reveal(), settings.notion_api_url)
        secrets.append(settings.notion_token.reveal())
    if settings.slack_tools and settings.slack_bot_token:
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
    return Toolbox(tools, tuple(filter(None, secrets)), own)


async def _of_server(server: ServerTable) -> Mapping[str, Tool]:
    from integrations.tools.mcp import McpServer, mcp_tools

    environment = {name: value.reveal() for name, value in server.environment.items()}
    try:
        token, distrusted = server.token.reveal(), server.every_tool_writes
        return await mcp_tools(McpServer(server.name, server.command, server.url, environment, token, distrusted))
    except ToolError as error:
        log.warning("the tools of an MCP server are left out: %s", error)
        return {}
