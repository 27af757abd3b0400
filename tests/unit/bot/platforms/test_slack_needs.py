"""The manifest holds what the code uses, in the form that Slack documents; what an app lacks of it is named."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bot.platforms import slack_needs
from bot.platforms.slack_needs import (
    COMMAND,
    EVENTS,
    METHODS,
    SCOPES,
    TOOL_METHODS,
    TOOL_SCOPES,
    manifest,
    scopes_missing,
    settings_missing,
)
from bot.platforms.slack_wire import HELP
from integrations.tools import slack_tools

PLATFORMS = Path(slack_needs.__file__).parent
URL = "https://carpool.example.org"


def text(most: int, pattern: str = "") -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most, **({"pattern": pattern} if pattern else {})}


def record(needed: dict[str, Any], optional: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**needed, **optional},
        "required": list(needed),
        "additionalProperties": False,
    }


HTTPS = text(2000, "^https://")
FLAG = {"type": "boolean"}
# By hand after docs.slack.dev, "App manifest reference": the keys, and the lengths of what is shown.
DOCUMENTED = record(
    {
        "display_information": record(
            {"name": text(35)},
            {
                "description": text(140),
                "long_description": text(4000),
                "background_color": text(7, "^#[0-9a-fA-F]{3,6}$"),
            },
        ),
        "features": record(
            {},
            {
                "agent_view": record(
                    {"agent_description": text(300)},
                    {
                        "suggested_prompts": {
                            "type": "array",
                            "maxItems": 4,
                            "items": record({"title": text(75), "message": text(2000)}),
                        }
                    },
                ),
                "app_home": record(
                    {},
                    {
                        "home_tab_enabled": FLAG,
                        "messages_tab_enabled": FLAG,
                        "messages_tab_read_only_enabled": FLAG,
                    },
                ),
                "bot_user": record({"display_name": text(80, "^[A-Za-z0-9._ -]+$")}, {"always_online": FLAG}),
                "shortcuts": {
                    "type": "array",
                    "maxItems": 10,
                    "items": record(
                        {
                            "name": text(24),
                            "type": {"enum": ["message", "global"]},
                            "callback_id": text(255),
                            "description": text(150),
                        }
                    ),
                },
                "slash_commands": {
                    "type": "array",
                    "maxItems": 50,
                    "items": record(
                        {"command": text(32, "^/[^\\s]+$"), "description": text(2000)},
                        {"url": HTTPS, "usage_hint": text(1000), "should_escape": FLAG},
                    ),
                },
            },
        ),
        "oauth_config": record(
            {"scopes": record({}, {"bot": {"type": "array", "maxItems": 255, "uniqueItems": True}})},
            {"redirect_urls": {"type": "array", "maxItems": 1000, "items": HTTPS}},
        ),
        "settings": record(
            {},
            {
                "event_subscriptions": record(
                    {}, {"request_url": HTTPS, "bot_events": {"type": "array", "maxItems": 100, "uniqueItems": True}}
                ),
                "interactivity": record({"is_enabled": FLAG}, {"request_url": HTTPS}),
                "org_deploy_enabled": FLAG,
                "socket_mode_enabled": FLAG,
                "token_rotation_enabled": FLAG,
            },
        ),
    }
)


@pytest.mark.parametrize(
    ("public_url", "socket", "rotation"), [("", True, False), (URL, True, True), (URL, False, False)]
)
def test_the_manifest_has_the_form_that_slack_documents(public_url: str, socket: bool, rotation: bool) -> None:
    made = manifest(public_url, socket=socket, rotation=rotation)
    assert [error.message for error in Draft202012Validator(DOCUMENTED).iter_errors(made)] == []
    assert made["settings"]["socket_mode_enabled"] is socket
    assert made["settings"]["token_rotation_enabled"] is rotation


def test_over_http_each_address_is_there_and_over_a_socket_none() -> None:
    over_http, over_socket = (
        str(manifest(URL, socket=False, rotation=False)),
        str(manifest("", socket=True, rotation=False)),
    )
    assert over_http.count(f"{URL}/slack/events") == 3
    assert over_http.count(f"{URL}/slack/oauth_redirect") == 1
    assert "https://" not in over_socket


def test_each_event_and_each_method_has_the_scope_that_it_needs() -> None:
    granted = {scope.name for scope in SCOPES}
    needed = {event.scope for event in EVENTS} | set(METHODS.values()) | {"commands"}
    assert needed - {""} <= granted


def test_each_scope_is_needed_by_something() -> None:
    needed = {event.scope for event in EVENTS} | set(METHODS.values()) | {"commands"}
    # Threads are read with the scope of the kind of conversation that they are in.
    needed |= {"groups:history", "im:history", "mpim:history"}
    assert {scope.name for scope in SCOPES} == needed - {""}


def test_each_method_that_the_code_calls_is_in_the_table() -> None:
    known = {method.replace(".", "_").casefold() for method in METHODS}
    called: set[str] = set()
    for path in set(PLATFORMS.glob("slack*.py")) - {Path(slack_needs.__file__)}:  # which names what is called
        source = path.read_text(encoding="utf-8")
        called |= set(re.findall(r"client(?:_of\([^)]*\)\))?\.([a-z]+_[A-Za-z_0-9]+)\(", source))
        called |= {name.replace(".", "_") for name in re.findall(r"\"((?:[a-z]+\.){1,2}[A-Za-z]+)\"", source)}
    families = {method.partition(".")[0] for method in METHODS}
    unknown = {name for name in called if name.partition("_")[0] in families and name.casefold() not in known}
    assert unknown - {"files_upload_v2"} == set()
    assert {"auth_test", "chat_postmessage"} <= {name.casefold() for name in called}


def test_each_method_that_tools_call_is_in_the_table_with_a_scope_that_is_asked_for_where_they_are_on() -> None:
    called: set[str] = set()
    for path in Path(slack_tools.__file__).parent.glob("slack*.py"):
        called |= set(re.findall(r"(?:web|searching)\.([a-z]+_[A-Za-z_]+)\(", path.read_text(encoding="utf-8")))
    assert called == {method.replace(".", "_") for method in TOOL_METHODS}
    needed = set(TOOL_METHODS.values()) - {""}
    assert needed <= {scope.name for scope in (*SCOPES, *TOOL_SCOPES)}
    # Conversations are looked up with the scope of their kind.
    kinds = {"groups:read", "im:read", "mpim:read"}
    assert {scope.name for scope in TOOL_SCOPES} <= needed | kinds
    assert not {scope.name for scope in TOOL_SCOPES} & {scope.name for scope in SCOPES}


@pytest.mark.parametrize("tools", [True, False])
def test_the_scopes_of_tools_are_asked_for_only_where_slack_is_one(tools: bool) -> None:
    asked = manifest(URL, socket=False, rotation=False, tools=tools)["oauth_config"]["scopes"]["bot"]
    assert ({scope.name for scope in TOOL_SCOPES} <= set(asked)) is tools
    assert len(asked) == len(set(asked))
    assert scopes_missing(asked, tools=tools) == ()
    assert bool(scopes_missing((scope.name for scope in SCOPES), tools=tools)) is tools


def test_an_app_made_from_the_manifest_lacks_nothing() -> None:
    assert settings_missing(manifest(URL, socket=False, rotation=False)) == ()
    assert scopes_missing(scope.name for scope in SCOPES) == ()


def test_each_thing_that_an_app_lacks_is_named_with_what_to_do() -> None:
    made = manifest("", socket=True, rotation=False)
    lacking = copy.deepcopy(made)
    lacking["settings"]["event_subscriptions"]["bot_events"].remove("message.im")
    lacking["settings"]["interactivity"]["is_enabled"] = False
    lacking["features"]["app_home"] = {"messages_tab_enabled": True, "messages_tab_read_only_enabled": True}
    del lacking["features"]["agent_view"], lacking["features"]["slash_commands"]
    lacking["features"]["shortcuts"].pop()
    said = settings_missing(lacking)
    assert len(said) == 7
    for word in ("message.im", "Agents & AI Apps", "Home Tab", "Messages Tab", "Interactivity", COMMAND, "summarise_"):
        assert any(word in sentence for sentence in said), word


@pytest.mark.parametrize(("part", "what"), [("event_subscriptions", "events"), ("interactivity", "buttons")])
def test_an_app_that_sends_nowhere_what_happens_is_told_so(part: str, what: str) -> None:
    lacking = copy.deepcopy(manifest(URL, socket=False, rotation=False))
    del lacking["settings"][part]["request_url"]
    (said,) = settings_missing(lacking)
    assert what in said
    lacking["settings"]["socket_mode_enabled"] = True
    assert settings_missing(lacking) == ()


def test_an_export_of_another_form_is_read_as_one_that_lacks_all() -> None:
    assert len(settings_missing({"features": None, "settings": {"event_subscriptions": []}})) == len(EVENTS) + 9


def test_a_scope_that_is_missing_is_named_with_what_does_not_work() -> None:
    (missing,) = scopes_missing(scope.name for scope in SCOPES if scope.name != "files:read")
    assert (missing.name, missing.without) == ("files:read", "files that people send are not read")


def test_the_hint_of_the_command_lists_the_commands() -> None:
    (command,) = manifest("", socket=True, rotation=False)["features"]["slash_commands"]
    assert HELP in command["usage_hint"]
