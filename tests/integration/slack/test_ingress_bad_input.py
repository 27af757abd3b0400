"""What a request gets that is not as it should be: a fitting status, a sentence, and nothing on RoadChain."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from slack_sdk.signature import SignatureVerifier

from tests.slack_app import SlackUnderTest, running_slack
from tests.slack_workspace import FORM, SECRET, Signed, sign

NOWHERE = "http://127.0.0.1:1/api/"
GOOD = json.dumps({"type": "event_callback", "event": {"type": "app_uninstalled"}}).encode()


@pytest.fixture
async def slack(tmp_path: Path) -> AsyncIterator[SlackUnderTest]:
    async with running_slack(tmp_path, NOWHERE) as slack:
        yield slack


MENTION = {"type": "app_mention", "user": "U", "channel": "C", "team": "T", "ts": "1.2", "text": "hello"}


def told(**body: object) -> Signed:
    return sign(json.dumps({"type": "event_callback", "team_id": "T", **body}).encode())


def without(name: str) -> Signed:
    signed = sign(GOOD)
    return Signed(signed.body, {key: value for key, value in signed.headers.items() if key != name})


@pytest.mark.parametrize(
    ("made", "status", "sentence"),
    [
        (lambda: sign(GOOD, "text/plain"), 415, "content type has to be application/json or"),
        (lambda: sign(GOOD, "application/jsonp"), 415, "content type"),
        (lambda: sign(GOOD, secret="another"), 401, "does not fit the body and the signing secret"),
        (lambda: Signed(GOOD + b" ", sign(GOOD).headers), 401, "does not fit the body"),
        (lambda: without("x-slack-signature"), 401, "signature is missing"),
        (lambda: without("x-slack-request-timestamp"), 401, "signature is missing"),
        (lambda: sign(GOOD, at_s=time.time() - 3_600), 401, "more than 300 seconds away"),
        (lambda: sign(GOOD, at_s=time.time() + 3_600), 401, "more than 300 seconds away"),
        (
            lambda: Signed(GOOD, sign(GOOD).headers | {"x-slack-request-timestamp": "9" * 5_000}),
            401,
            "more than 300 seconds",
        ),
        (lambda: Signed(GOOD, sign(GOOD).headers | {"x-slack-request-timestamp": "١٢٣"}), 401, "more than 300 seconds"),
        (lambda: Signed(GOOD, sign(GOOD).headers | {"x-slack-signature": "v0=ünsinn"}), 401, "does not fit"),
        (lambda: sign(b'{"type": "\xff\xfe"}'), 400, "not UTF-8: see the byte at position 10"),
        (lambda: sign(b'{"type": '), 400, "not JSON"),
        (lambda: sign(b"[" * 100_000), 400, "not JSON"),
        (lambda: sign(b'["event_callback"]'), 400, "not a JSON object"),
        (lambda: sign(b""), 400, "not JSON"),
        (lambda: told(event=MENTION, authorizations=5), 400, "a field of it is of another kind"),
        (lambda: told(event=MENTION, authorizations=["U"]), 400, "a field of it is of another kind"),
        (lambda: told(event=MENTION | {"channel": 5}), 400, "a field of it is of another kind"),
        (lambda: told(event="x"), 400, "a field of it is of another kind"),
        (lambda: told(event=MENTION | {"type": ["app_mention"]}), 400, "a field of it is of another kind"),
        (lambda: sign(b"x" * 10_000_000), 413, "more than 1,048,576 bytes"),
        (lambda: sign(b'{"type": "event_callback"}'), 404, "Nothing here answers"),
        (lambda: sign(b"command=%2Fother&team_id=T", FORM), 404, "Nothing here answers"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_a_bad_request_gets_its_status_and_a_sentence(
    slack: SlackUnderTest, made: Callable[[], Signed], status: int, sentence: str
) -> None:
    """Each request is made when it is sent: a signature is good for five minutes, and the tests may take longer."""
    given, body = await slack.deliver(made())
    assert given == status
    assert sentence in json.loads(body)["error"]
    assert "Traceback" not in body
    assert await slack.turns() == []


@pytest.mark.parametrize(
    "event",
    [{"user": []}, {"user": {"name": "anna"}}, {"ts": 1.2}, {"text": 5}, {"subtype": {}}, {"team": 5}, {"channel": {}}],
    ids=str,
)
async def test_a_mention_that_lacks_what_a_mention_has_is_taken_for_nobody(
    slack: SlackUnderTest, event: dict[str, object]
) -> None:
    """200, so that Slack does not send it again."""
    assert (await slack.deliver(told(event=MENTION | event, team_id=None)))[0] == 200
    assert await slack.turns() == []


async def test_a_body_that_does_not_say_how_long_it_is_is_cut_off_at_the_limit(slack: SlackUnderTest) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100_000_000:
            sent += 65_536
            yield b"x" * 65_536

    headers = sign(b"").headers
    try:
        async with slack.session.post(f"{slack.url}/slack/events", data=endless(), headers=headers) as answer:
            assert answer.status == 413
    except (ConnectionError, OSError):
        pass  # the server may hang up before the client has looked for an answer
    assert sent < 100_000_000


async def test_an_event_of_an_unknown_type_is_taken_and_left_alone(slack: SlackUnderTest) -> None:
    assert (await slack.deliver(sign(GOOD)))[0] == 200
    assert await slack.turns() == []


async def test_the_challenge_of_a_new_address_is_answered(slack: SlackUnderTest) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1aBm2r", "token": "x"}).encode()
    status, answer = await slack.deliver(sign(body))
    assert status == 200
    assert json.loads(answer) == {"challenge": "3eZbrw1aBm2r"}


@pytest.mark.parametrize("broken", [{"channel": None}, {"ts": None}, {"text": ["x"]}, {"user": ""}])
async def test_an_event_that_lacks_something_is_left_alone(slack: SlackUnderTest, broken: dict[str, object]) -> None:
    event = {"type": "app_mention", "user": "U1", "channel": "C1", "ts": "1.1", "text": "hello"} | broken
    body = json.dumps({"type": "event_callback", "team_id": "T1", "event": event}).encode()
    assert (await slack.deliver(sign(body)))[0] == 200
    assert await slack.turns() == []


async def test_half_a_pair_of_surrogates_does_no_harm(slack: SlackUnderTest) -> None:
    event = {"type": "app_mention", "user": "U1", "channel": "C1", "ts": "1.1", "text": "half \ud83d of it"}
    body = json.dumps({"type": "event_callback", "team_id": "T1", "event": event}).encode()
    assert (await slack.deliver(sign(body)))[0] == 200
    assert len(await slack.turns()) == 1


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/slack/events", 405), ("POST", "/health", 405), ("GET", "/x", 404)]
)
async def test_other_addresses_and_methods_are_told_so(
    slack: SlackUnderTest, method: str, path: str, status: int
) -> None:
    async with slack.session.request(method, slack.url + path) as answer:
        assert answer.status == status
        assert "address" in (await answer.json())["error"]


async def test_health_says_so_while_messages_can_be_recorded(slack: SlackUnderTest) -> None:
    async with slack.session.get(f"{slack.url}/health") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "ok"})


async def test_a_slow_body_does_not_keep_others_waiting(slack: SlackUnderTest) -> None:
    gate = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield GOOD[:5]
        await gate.wait()
        yield GOOD[5:]

    async def post_slowly() -> int:
        headers = sign(GOOD).headers
        async with slack.session.post(f"{slack.url}/slack/events", data=slow(), headers=headers) as answer:
            return answer.status

    slowly = asyncio.create_task(post_slowly())
    assert (await slack.deliver(sign(GOOD)))[0] == 200
    assert not slowly.done()
    gate.set()
    assert await slowly == 200


def test_requests_are_signed_as_in_slacks_own_example() -> None:
    """docs.slack.dev, "Verifying requests from Slack", gives this example: secret, timestamp, body and signature."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    signed = sign(body, FORM, at_s=1531420618)
    assert SECRET == "8f742231b10e8888abcd99yyyzzz85a5"
    assert (
        SignatureVerifier(SECRET).generate_signature(timestamp="1531420618", body=body)
        == (signed.headers["x-slack-signature"])
    )
    assert signed.headers["x-slack-signature"] == (
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    )
