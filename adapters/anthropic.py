"""Anthropic's models through the official SDK: the Messages API."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from adapters.anthropic_errors import as_adapter_error, sdk_errors
from adapters.anthropic_wire import MessageDecoder, encode_request
from adapters.base import BaseAdapter, ChatRequest
from adapters.deadline import Deadline
from adapters.errors import AdapterError, NotConfigured
from adapters.http_client import CONNECT_S, not_installed, open_http_client
from adapters.messages import JsonObject, ProviderName, ReplyEvent
from adapters.openai_wire import Wire
from adapters.streaming import checked, events_of, wire_of

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic

ANTHROPIC_URL = "https://api.anthropic.com"
NO_KEY = "none"
"""Sent to a gateway that needs no key: without one the SDK looks for others on this machine."""


class AnthropicAdapter(BaseAdapter):
    """``base_url`` None means Anthropic's own; a gateway may do without a key. ``thinking`` is sent as it stands, such as
    ``{"type": "disabled"}``; where it is None, each model does what the request's effort asks for, or else what it does by
    default. The SDK's own retries are off.
    """

    def __init__(
        self,
        provider: ProviderName,
        api_key: str | None,
        base_url: str | None = None,
        *,
        thinking: JsonObject | None = None,
        connect_s: float = CONNECT_S,
    ) -> None:
        self.provider = provider
        self._api_key = api_key or None
        self._base_url = (base_url or ANTHROPIC_URL).rstrip("/")
        self._thinking = thinking
        self._connect_s = connect_s
        self._opening = asyncio.Lock()
        self._client: AsyncAnthropic | None = None

    async def chat(self, request: ChatRequest) -> AsyncIterator[ReplyEvent]:
        if self._api_key is None and self._base_url == ANTHROPIC_URL:
            raise NotConfigured("Set ANTHROPIC_API_KEY: a key is made at platform.claude.com.")
        deadline = Deadline(request)
        body = encode_request(request, self.provider, self._thinking)
        with deadline.waiting():
            client = await self._open()
        decoder = MessageDecoder(self.provider)
        events = events_of(_AnthropicSdk(), lambda: _post(client, body), decoder, deadline, self._api_key)
        async with aclosing(events):
            async for event in events:
                yield event

    async def check(self) -> None:
        client = await self._open()
        await checked(_AnthropicSdk(), lambda: client.get("/v1/models?limit=1", cast_to=object), self._api_key)

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _open(self) -> "AsyncAnthropic":
        async with self._opening:
            if self._client is None:
                # The SDK takes about a second to import: in a thread, so that nobody else's answer waits.
                self._client = await asyncio.to_thread(self._build)
            return self._client

    def _build(self) -> "AsyncAnthropic":
        try:
            sdk = importlib.import_module("anthropic")
        except ImportError as error:
            raise not_installed("anthropic", error) from error
        client: AsyncAnthropic = sdk.AsyncAnthropic(
            api_key=self._api_key or NO_KEY,
            base_url=self._base_url,
            max_retries=0,
            open_telemetry=False,
            http_client=open_http_client(self._connect_s),
        )
        return client


def _post(client: "AsyncAnthropic", body: Wire) -> Awaitable[Any]:
    """The stream of an answer, each event as the JSON that it is.

    This is the SDK's own way to ask for what it has no types for. Where it has some, it would make objects of each event,
    which takes most of the time of a call, and ``adapters.anthropic_wire`` would take them apart again.
    """
    from anthropic import AsyncStream

    return client.post("/v1/messages", cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object])


class _AnthropicSdk:
    def errors(self) -> tuple[type[Exception], ...]:
        return sdk_errors()

    def as_adapter_error(self, error: Exception) -> AdapterError:
        return as_adapter_error(error)

    def as_wire(self, chunk: Any) -> Wire:
        return wire_of(chunk)

    async def close(self, stream: Any) -> None:
        await stream.close()
