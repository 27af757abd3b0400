"""What outlives a process that is killed: Stripe, the chat, the provider of a model. Each is in a file before it answers."""

import json
import os
import pickle
import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import stripe

from adapters.base import ChatRequest
from adapters.errors import Unavailable
from adapters.messages import Finished, Usage
from adapters.scripted import Raise, ScriptReply, answer
from bot.platforms.base import Address, PlatformError, Presence, Reply
from integrations.payments.base import MeterReading
from integrations.payments.stripe import StripePayments
from ledger.pseudonyms import TurnId
from tests.fakes import stripe_meters
from tests.fakes.stripe_account import Account
from tests.fakes.stripe_server import KEY, SECRET, StripeServer
from tests.house import RecordingPlatform
from tests.payments import METER, NOW_S

OUTSIDE = "outside.pickle"

PRICES = (2000, 6000, 1000)
"""Of the plans, in cents a month."""


class Outside:
    """``asked`` is what the provider was asked, ``posted`` what stands in the chat: in the order in which it came."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / OUTSIDE
        self.account = Account(NOW_S)
        self.server = StripeServer(self.account)
        self.account.never = lambda kind: False
        self.asked: list[str] = []
        self.posted: list[tuple[TurnId, int, str]] = []
        if self._path.exists():
            kept, self.server.pending[:], self.server._seen, self.asked, self.posted = pickle.loads(  # our own
                self._path.read_bytes()
            )
            for name, value in kept.items():
                setattr(self.account, name, value)
        else:
            for cents in PRICES:
                self.account.price(cents)
            stripe_meters.meter(self.account, METER)
            stripe_meters.metered_price(self.account, METER)
            self.save()

    @property
    def prices(self) -> list[str]:
        """Those of the plans, and of a meter's unit."""
        return [item["id"] for item in reversed(self.account.of("price"))]

    def save(self) -> None:
        kept = {
            one.name: getattr(self.account, one.name)
            for one in fields(Account)
            if not callable(getattr(self.account, one.name))
        }
        whole = pickle.dumps((kept, self.server.pending, self.server._seen, self.asked, self.posted))
        beside = self._path.with_suffix(".new")
        beside.write_bytes(whole)
        beside.replace(self._path)


@dataclass
class Steps:
    """Counts them, and ends the process at ``last``."""

    last: int
    made: int = 0

    def step(self) -> None:
        self.made += 1
        if self.made == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]


class Wire(stripe.HTTPClient):
    """From the SDK to the account, without a network: a kill falls before a request has arrived, or before its answer has."""

    name = "in-process"

    def __init__(self, outside: Outside, steps: Steps) -> None:
        super().__init__()
        self._outside = outside
        self._steps = steps

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        path, _, query = url.removeprefix(stripe.DEFAULT_API_BASE).partition("?")
        asked = Request(method.upper(), path, headers)
        writes = asked.method in ("POST", "DELETE")
        if writes:
            self._steps.step()
        status, body, _ = self._outside.server.told(asked, (post_data or "") if asked.method == "POST" else query)
        if writes:
            self._outside.save()
            self._steps.step()
        return json.dumps(body).encode(), status, {}

    async def close_async(self) -> None:
        """Nothing is open."""


class Direct(StripePayments):
    def __init__(self, outside: Outside, steps: Steps) -> None:
        super().__init__(KEY, [SECRET], "", "http://carpool.test/", clock_s=lambda: float(outside.account.now_s))
        self._direct = stripe.StripeClient(KEY, http_client=Wire(outside, steps), max_network_retries=0)

    @property
    def client(self) -> stripe.StripeClient:
        return self._direct


class Nameless(Direct):
    """A mutant: a reading has another identifier each time that it is sent."""

    async def read_meter(self, reading: MeterReading) -> None:
        await super().read_meter(replace(reading, id=f"{reading.id}/{os.urandom(8).hex()}"))


GONE = "gone"
"""To such a question nobody is there to hear the answer."""

KINDS = ("short", "short", "long", "long", "untold", "failing", GONE)
QUESTION = re.compile(r"q-\d+ (\w+)")


@dataclass
class Room(RecordingPlatform):
    """A channel that shows what was posted whoever asks, and takes each part of a reply once."""

    outside: Outside | None = None
    step: Callable[[], None] = field(default=lambda: None)

    async def send(self, to: Address, turn: TurnId, part: int, reply: Reply) -> None:
        if self.outside is None:
            raise AssertionError("a room is somewhere")
        if f" {GONE}" in reply.text:
            raise PlatformError("the channel is gone", None)
        self.step()
        self.outside.posted.append((turn, part, reply.text))
        self.outside.save()
        self.step()

    async def find(self, to: Address, turn: TurnId, part: int) -> Presence:
        posted = [] if self.outside is None else self.outside.posted
        return "there" if any(item[:2] == (turn, part) for item in posted) else "absent"


@dataclass(frozen=True)
class Provider:
    """Of a model that answers with the question itself. The question says how, and what it takes."""

    outside: Outside
    step: Callable[[], None]

    def __call__(self, request: ChatRequest) -> ScriptReply:
        found = QUESTION.search(request.messages[-1].text)
        if found is None:
            raise AssertionError("a question says what it wants")
        self.step()
        self.outside.asked.append(found[0])
        self.outside.save()
        self.step()
        match found[1]:
            case "failing":
                return (Raise(Unavailable("scripted")),)
            case "untold":
                return (*answer(f"A {found[0]}", usage=None)[:1], Finished("stop", None))
            case "long":
                return answer(f"A {found[0]}", usage=Usage(input=50, output=1000))
            case _:
                return answer(f"A {found[0]}", usage=Usage(input=50, output=200))
