"""Payloads: what is written beside the chain is read back as it was."""

from hypothesis import given
from hypothesis import strategies as st

from adapters.messages import (
    File,
    Image,
    Message,
    ProviderName,
    ProviderState,
    Text,
    ToolCall,
    ToolCallId,
    ToolResult,
)
from bot.agents.memory import compose
from bot.agents.registry import CARPOOL
from bot.payloads import decode_asked, decode_message, encode_asked, encode_message
from bot.platforms.base import Address, Incoming, PlatformName
from bot.tokens import tokens_in

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
)
PARTS = st.one_of(
    st.builds(Text, TEXTS),
    st.builds(Image, st.just("image/png"), st.binary(max_size=30)),
    st.builds(File, TEXTS, st.just("text/plain"), st.binary(max_size=30)),
    st.builds(ToolCall, TEXTS.map(ToolCallId), TEXTS, st.dictionaries(TEXTS, JSON, max_size=3)),
    st.builds(ToolResult, TEXTS.map(ToolCallId), TEXTS, st.booleans()),
    st.builds(ProviderState, TEXTS.map(ProviderName), TEXTS),
)
ADDRESSES = st.builds(Address, TEXTS.map(PlatformName), TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)


@given(st.lists(PARTS, max_size=4))
def test_a_message_is_read_back_as_it_was(parts: list[Text]) -> None:
    message = Message("assistant", tuple(parts))
    assert decode_message(encode_message(message)) == message


@given(ADDRESSES, TEXTS, TEXTS)
def test_what_was_asked_is_read_back_with_its_address(address: Address, text: str, invocation: str) -> None:
    asked = decode_asked(encode_asked(Incoming(address, "1", text), invocation, keep_content=True))
    assert (asked.address, asked.text, asked.invocation) == (address, text, invocation)


@given(ADDRESSES, TEXTS)
def test_of_a_refused_message_only_the_address_is_kept(address: Address, text: str) -> None:
    asked = decode_asked(encode_asked(Incoming(address, "1", text), "", keep_content=False))
    assert (asked.address, asked.parts) == (address, ())


@given(st.text(max_size=30))
def test_halves_of_pairs_are_joined_or_replaced_and_never_fail(text: str) -> None:
    kept = decode_message(encode_message(Message("user", (Text(text),)))).text
    kept.encode()
    assert kept == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_two_halves_that_came_one_after_the_other_are_one_sign() -> None:
    message = Message("assistant", (Text("\ud83d" + "\ude00"),))
    assert decode_message(encode_message(message)).text == "😀"


def exchange(number: int) -> tuple[Message, Message]:
    return Message("user", (Text(f"question {number}"),)), Message("assistant", (Text(f"answer {number}"),))


@given(st.integers(0, 20), st.integers(0, 2_000))
def test_of_the_past_the_latest_whole_exchanges_that_fit_go_into_the_prompt(count: int, room: int) -> None:
    past = [message for number in range(count) for message in exchange(number)]
    question = Message("user", (Text("and now?"),))
    system, *kept, asked = compose(CARPOOL, past, question, room)
    assert (system.role, asked) == ("system", question)
    assert kept == (past[-len(kept) :] if kept else [])
    assert len(kept) % 2 == 0
    fixed = tokens_in(system) + tokens_in(question)
    assert not kept or fixed + sum(map(tokens_in, kept)) <= room
