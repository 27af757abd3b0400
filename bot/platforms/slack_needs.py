"""What CarPool needs of a Slack app: one table, which the manifest is written from and the doctor compares with. Pure.

Sources: docs.slack.dev, "App manifest reference", "Agent sessions", and the page of each method and event for its scopes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.commands.table import COMMANDS

NAME = "CarPool"
COMMAND = "/carpool"
DESCRIPTION = "Answers with the model that serves best, and keeps a record that anybody can check."
AGENT_DESCRIPTION = (
    "Ask anything. CarPool chooses the model that serves your message best, and says why and at what cost."
)
ASK, SUMMARISE = "ask_about_message", "summarise_thread"
"""The callback_ids of the message shortcuts."""

EVENTS_PATH = "/slack/events"
INSTALL_PATH = "/slack/install"
REDIRECT_PATH = "/slack/oauth_redirect"

BOTH_WAYS = (
    "SLACK_BOT_TOKEN and SLACK_CLIENT_ID are both set. Take out SLACK_CLIENT_ID to answer in one workspace, or SLACK_BOT_TOKEN "
    "to be installed in many."
)


@dataclass(frozen=True, slots=True)
class Scope:
    """``without`` is what does not work where it was not granted."""

    name: str
    without: str


@dataclass(frozen=True, slots=True)
class Event:
    """``scope`` is what Slack asks for before it sends it; empty where it asks for none."""

    name: str
    scope: str
    without: str


@dataclass(frozen=True, slots=True)
class Shortcut:
    name: str
    callback_id: str
    description: str


SCOPES = (
    Scope("app_mentions:read", "nobody can mention CarPool in a channel"),
    Scope("assistant:write", "Slack does not show CarPool as an agent, with suggestions and a Stop button"),
    Scope("channels:history", "threads in public channels are neither followed nor read"),
    Scope("chat:write", "nothing is answered"),
    Scope("commands", "neither /carpool nor the entries in a message's menu are there"),
    Scope("files:read", "files that people send are not read"),
    Scope("files:write", "files are not sent"),
    Scope("groups:history", "threads in private channels are neither followed nor read"),
    Scope("im:history", "direct messages are not answered"),
    Scope("im:write", "what is for one person alone cannot be sent to them directly"),
    Scope("mpim:history", "group messages are not answered"),
    Scope("users:read", "nobody is known as an owner, an admin or a guest, so people are refused"),
)

TOOL_SCOPES = (
    Scope("channels:read", "a model neither reads nor writes in public channels for those who ask"),
    Scope("groups:read", "a model neither reads nor writes in private channels for those who ask"),
    Scope("im:read", "a model neither reads nor writes in direct messages for those who ask"),
    Scope("mpim:read", "a model neither reads nor writes in group messages for those who ask"),
    Scope("reactions:read", "a reaction that a crash cut off is not looked for, and none is taken back"),
    Scope("reactions:write", "a model does not react to messages"),
)
"""What is asked for beside that where Slack is a tool (``CARPOOL_SLACK_TOOLS``)."""

EVENTS = (
    Event("agent_session_stopped", "assistant:write", "Slack shows no Stop button"),
    Event("app_home_opened", "", "CarPool's Home stays empty, and a new conversation gets no suggestions"),
    Event("app_mention", "app_mentions:read", "mentions are not answered"),
    Event("app_uninstalled", "", "a token stays here after CarPool was removed from a workspace"),
    Event("message.channels", "channels:history", "threads in public channels are not followed without a mention"),
    Event("message.groups", "groups:history", "threads in private channels are not followed without a mention"),
    Event("message.im", "im:history", "direct messages are not answered"),
    Event("message.mpim", "mpim:history", "group messages are not answered"),
    Event("team_access_revoked", "", "a workspace that its organisation took CarPool out of is still tried"),
    Event("tokens_revoked", "", "a token that was revoked is still tried"),
)

METHODS: Mapping[str, str] = {
    "agents.sessions.rename": "chat:write",
    "agents.sessions.setStatus": "chat:write",
    "apps.connections.open": "",  # by the app-level token, with connections:write
    "apps.manifest.export": "",  # by a configuration token
    "assistant.threads.setSuggestedPrompts": "assistant:write",
    "auth.test": "",
    "bots.info": "users:read",
    "chat.appendStream": "chat:write",
    "chat.delete": "chat:write",
    "chat.getPermalink": "",
    "chat.postEphemeral": "chat:write",
    "chat.postMessage": "chat:write",
    "chat.startStream": "chat:write",
    "chat.stopStream": "chat:write",
    "chat.update": "chat:write",
    "conversations.history": "channels:history",
    "conversations.open": "im:write",
    "conversations.replies": "channels:history",
    "files.completeUploadExternal": "files:write",
    "files.getUploadURLExternal": "files:write",
    "files.info": "files:read",
    "oauth.v2.access": "",
    "users.info": "users:read",
    "views.open": "",
    "views.publish": "",
    "views.update": "",
}
"""Each method of the Web API that is called, and the scope that Slack asks for."""

TOOL_METHODS: Mapping[str, str] = {
    "auth.test": "",
    "chat.delete": "chat:write",
    "chat.deleteScheduledMessage": "chat:write",
    "chat.postMessage": "chat:write",
    "chat.scheduleMessage": "chat:write",
    "chat.scheduledMessages.list": "",
    "conversations.history": "channels:history",
    "conversations.info": "channels:read",
    "conversations.members": "channels:read",
    "conversations.replies": "channels:history",
    "reactions.add": "reactions:write",
    "reactions.get": "reactions:read",
    "reactions.remove": "reactions:write",
    "search.messages": "",  # by a person's token, with search:read
}
"""The same of what tools call."""

SHORTCUTS = (
    Shortcut("Ask CarPool about this", ASK, "CarPool answers in the thread of this message"),
    Shortcut("Summarise this thread", SUMMARISE, "CarPool says in short what was said in this thread"),
)

PROMPTS = (
    ("What can you do?", "help"),
    ("Which models are there?", "model"),
    ("Explain something to me", "Explain how photosynthesis works, in three sentences."),
    ("Draft a message", "Draft a short, friendly message that asks my team for their status."),
)
"""What one may ask at first, at most four: title, and what is said when it is pressed."""


def scopes_needed(*, tools: bool) -> tuple[Scope, ...]:
    """``tools``: whether a model may use Slack as a tool."""
    return (*SCOPES, *TOOL_SCOPES) if tools else SCOPES


def manifest(public_url: str, *, socket: bool, rotation: bool, tools: bool = False) -> dict[str, Any]:
    """Slack's app manifest. ``public_url`` is where the internet reaches `carpool web`, without a slash at its end; empty
    where it does not, and then ``socket`` has to be true. ``rotation``: tokens that last twelve hours and are renewed.
    ``tools`` as in ``scopes_needed``."""
    events: dict[str, Any] = {"bot_events": [event.name for event in EVENTS]}
    interactivity: dict[str, Any] = {"is_enabled": True}
    command: dict[str, Any] = {
        "command": COMMAND,
        "description": "Ask CarPool privately, or give it a command",
        "usage_hint": f"[question | {' | '.join(COMMANDS)}]",
    }
    if not socket:
        address = f"{public_url}{EVENTS_PATH}"
        events["request_url"] = interactivity["request_url"] = command["url"] = address
    oauth: dict[str, Any] = {"scopes": {"bot": [scope.name for scope in scopes_needed(tools=tools)]}}
    if public_url:
        oauth["redirect_urls"] = [f"{public_url}{REDIRECT_PATH}"]
    return {
        "display_information": {"name": NAME, "description": DESCRIPTION},
        "features": {
            "agent_view": {
                "agent_description": AGENT_DESCRIPTION,
                "suggested_prompts": [{"title": title, "message": message} for title, message in PROMPTS],
            },
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": NAME, "always_online": True},
            "shortcuts": [
                {
                    "name": shortcut.name,
                    "type": "message",
                    "callback_id": shortcut.callback_id,
                    "description": shortcut.description,
                }
                for shortcut in SHORTCUTS
            ],
            "slash_commands": [command],
        },
        "oauth_config": oauth,
        "settings": {
            "event_subscriptions": events,
            "interactivity": interactivity,
            # An organisation installs it for all of its workspaces where it can be installed in more than one.
            "org_deploy_enabled": bool(public_url),
            "socket_mode_enabled": socket,
            "token_rotation_enabled": rotation,
        },
    }


def scopes_missing(granted: Iterable[str], *, tools: bool = False) -> tuple[Scope, ...]:
    had = set(granted)
    return tuple(scope for scope in scopes_needed(tools=tools) if scope.name not in had)


def settings_missing(exported: Mapping[str, Any]) -> tuple[str, ...]:
    """What an app lacks by its own manifest, as Slack exports it: a sentence each, with what to do."""
    features, settings = _part(exported, "features"), _part(exported, "settings")
    lacking: list[str] = []
    subscribed = _part(settings, "event_subscriptions").get("bot_events") or []
    lacking += [
        f"The event {event.name} is not subscribed to, so {event.without}: add it under Event Subscriptions, "
        "Subscribe to bot events."
        for event in EVENTS
        if event.name not in subscribed
    ]
    if "agent_view" not in features:
        lacking.append("The app is no agent: turn that on under Agents & AI Apps.")
    home = _part(features, "app_home")
    if not home.get("home_tab_enabled"):
        lacking.append("The Home Tab is off, so people have no page of their own: turn it on under App Home.")
    if not home.get("messages_tab_enabled") or home.get("messages_tab_read_only_enabled"):
        lacking.append(
            "People cannot write to CarPool directly: under App Home turn on the Messages Tab, and let users send messages "
            "from it."
        )
    if not _part(settings, "interactivity").get("is_enabled"):
        lacking.append("Buttons and forms do nothing: turn on Interactivity & Shortcuts.")
    if not settings.get("socket_mode_enabled"):
        lacking += [
            f"Slack sends {what} nowhere: turn on Socket Mode, or give the address that ends in {EVENTS_PATH} under {where}."
            for what, where, part in (
                ("events", "Event Subscriptions", "event_subscriptions"),
                ("pressed buttons and sent forms", "Interactivity & Shortcuts", "interactivity"),
            )
            if not _part(settings, part).get("request_url")
        ]
    commands = [item.get("command") for item in features.get("slash_commands") or []]
    if COMMAND not in commands:
        lacking.append(f"{COMMAND} is not there: add it under Slash Commands.")
    shortcuts = [item.get("callback_id") for item in features.get("shortcuts") or []]
    lacking += [
        f"“{shortcut.name}” is not in a message's menu: add it under Interactivity & Shortcuts, on messages, with the callback "
        f"ID {shortcut.callback_id}."
        for shortcut in SHORTCUTS
        if shortcut.callback_id not in shortcuts
    ]
    return tuple(lacking)


def _part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = whole.get(name)
    return part if isinstance(part, Mapping) else {}
