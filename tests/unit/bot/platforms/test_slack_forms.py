"""Forms and pages in the form that Slack takes, within its limits; what comes back is read as it was filled in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.platforms.base import Address, Button, Choice, Field, Form, PlatformName, Section, Talk
from bot.platforms.slack_forms import BLOCKS_MAX, home, modal, mrkdwn, read_sent, said
from bot.sentences import ENGLISH
from tests.fakes.slack_views import wrong_view

LINK = "https://team.example.org/archives/C1/p1?thread_ts=1.1&cid=C1"
ME = Address(PlatformName("slack"), "T1", "C1", "1.1", "U1")
FIELDS = (
    Field("name", "Name", "line", "Any.", "Anna"),
    Field("note", "Note", "text", optional=True),
    Field("key", "Key", "secret", "It begins with sk-.", "sk-must-not-show"),
    Field("role", "Role", "choice", value="b", choices=(Choice("a", "A"), Choice("b", "B"))),
    Field("who", "Who", "person", value="U7"),
)


def test_each_kind_of_field_is_asked_as_slack_takes_it() -> None:
    view = modal(Form("keys", "Add a key", FIELDS, text="**Once** only."), ME, ENGLISH)
    assert list(wrong_view(view, "modal")) == []
    elements = {block["block_id"]: block["element"] for block in view["blocks"] if block["type"] == "input"}
    assert elements["name"]["initial_value"] == "Anna"
    assert elements["note"]["multiline"] is True
    assert elements["role"]["initial_option"]["value"] == "b"
    assert elements["who"] == {"action_id": "answer", "type": "users_select", "initial_user": "U7"}
    assert view["blocks"][0]["text"]["text"] == "*Once* only."
    assert [block["optional"] for block in view["blocks"] if block["type"] == "input"] == [False, True] + [False] * 3


def test_a_secret_is_not_shown_and_its_hint_says_that_slack_shows_what_is_typed() -> None:
    view = modal(Form("keys", "Add a key", FIELDS), ME, ENGLISH)
    assert "sk-must-not-show" not in str(view)
    (key,) = [block for block in view["blocks"] if block.get("block_id") == "key"]
    assert key["hint"]["text"].startswith("It begins with sk-. Slack shows it while you type.")


def submitted(view: dict[str, Any], values: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "view_submission",
        "team": {"id": "T1"},
        "user": {"id": "U1"},
        "trigger_id": "t1",
        "view": {**view, "id": "V1", "state": {"values": values}},
        **more,
    }


def test_what_was_filled_in_is_read_by_field_with_where_it_was_opened() -> None:
    view = modal(Form("keys", "Add a key", FIELDS), ME, ENGLISH)
    values = {
        "name": {"answer": {"type": "plain_text_input", "value": "Bert"}},
        "note": {"answer": {"type": "plain_text_input", "value": None}},
        "key": {"answer": {"type": "plain_text_input", "value": "sk-1"}},
        "role": {"answer": {"type": "static_select", "selected_option": {"value": "a"}}},
        "who": {"answer": {"type": "users_select", "selected_user": "U9"}},
    }
    sent = read_sent(submitted(view, values))
    assert sent is not None
    assert sent.values == {"name": "Bert", "note": "", "key": "sk-1", "role": "a", "who": "U9"}
    assert (sent.address, sent.form, sent.first_field) == (ME, "keys", "name")


def test_a_form_that_was_mended_is_another_sending_and_one_told_twice_is_not() -> None:
    view = modal(Form("keys", "Add a key", FIELDS), ME, ENGLISH)
    first, twice = read_sent(submitted(view, {})), read_sent(submitted(view, {}))
    mended = read_sent(submitted(view, {}, trigger_id="t2"))
    assert first is not None
    assert twice is not None
    assert mended is not None
    assert first.event_identity == twice.event_identity != mended.event_identity


@pytest.mark.parametrize(
    "more",
    [
        {"view": None},
        {"view": {"private_metadata": "no json"}},
        {"view": {"private_metadata": "[]"}},
        {"user": {}},
        {"team": None, "user": {"id": "U1"}},
    ],
)
def test_a_sending_that_lacks_something_is_none_of_ours(more: dict[str, Any]) -> None:
    view = modal(Form("keys", "Add a key", FIELDS), ME, ENGLISH)
    assert read_sent({**submitted(view, {}), **more}) is None


def test_a_page_has_its_sections_with_their_buttons() -> None:
    view = home(
        (
            Section("Keys", "- openai, for **you** alone", (Button("Add", "keys add", "primary"),)),
            Section(
                "Settings", "You are `admin` here.", (Button("Edit", "settings edit"), Button("Off", "stop", "danger"))
            ),
        ),
        {},
        ENGLISH,
    )
    assert list(wrong_view(view, "home")) == []
    assert [block["type"] for block in view["blocks"]] == [
        *("header", "section", "actions", "divider"),
        *("header", "section", "actions"),
    ]
    assert view["blocks"][1]["text"]["text"] == "• openai, for *you* alone"
    assert [element["value"] for element in view["blocks"][-1]["elements"]] == ["settings edit", "stop"]


@pytest.mark.parametrize("sections", [120, 3])
def test_a_page_that_is_too_long_for_slack_says_so_and_is_shown(sections: int) -> None:
    view = home(
        [Section(f"S{number}", "long & <b> " * 20_000 if sections == 3 else "x") for number in range(sections)],
        {},
        ENGLISH,
    )
    assert list(wrong_view(view, "home")) == []
    assert len(view["blocks"]) == BLOCKS_MAX
    assert "more than fits" in view["blocks"][-1]["text"]["text"]


def test_a_list_of_more_than_a_hundred_is_grouped() -> None:
    choices = tuple(Choice(str(number), f"Model {number}") for number in range(250))
    view = modal(Form("f", "F", (Field("m", "M", "choice", value="249", choices=choices),)), ME, ENGLISH)
    assert list(wrong_view(view, "modal")) == []
    assert len(view["blocks"][0]["element"]["option_groups"]) == 3


@given(title=st.text(min_size=1), text=st.text(), label=st.text(min_size=1), value=st.text(max_size=5_000))
def test_whatever_is_asked_is_within_slacks_limits(title: str, text: str, label: str, value: str) -> None:
    fields = (Field("a", label, "text", value, value), Field("b", label, "choice", choices=(Choice("x", label),)))
    assert list(wrong_view(modal(Form("f", title, fields, text=text), ME, ENGLISH), "modal")) == []
    assert (
        list(
            wrong_view(
                home((Section(title, text, (Button(label, "why"),), (Talk(ME, value[:80]),)),), {ME: LINK}, ENGLISH),
                "home",
            )
        )
        == []
    )


@given(st.text(min_size=1, max_size=9_000))
def test_a_result_of_any_length_is_shown_in_a_view_that_slack_takes(text: str) -> None:
    assert list(wrong_view(said("Title", text, ENGLISH), "modal")) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("**a** and `**b**`", "*a* and `**b**`"),
        ("# Title\n- one\n  - two", "*Title*\n• one\n  • two"),
        ("[here](https://example.org/a?b=1&c=2)", "<https://example.org/a?b=1&amp;c=2|here>"),
        ("<!channel> <@U1> <https://x|y>", "&lt;!channel&gt; &lt;@U1&gt; &lt;https://x|y&gt;"),
        ("```\n- **x**\n```", "```\n- **x**\n```"),
        ("2 ** 3 ** 4", "2 ** 3 ** 4"),
    ],
)
def test_our_markdown_is_slacks_markup_and_calls_nobody(text: str, shown: str) -> None:
    assert mrkdwn(text) == shown
