"""Google's models through the official SDK, google-genai: the Gemini API."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from adapters.base import BaseAdapter, ChatRequest
from adapters.deadline import Deadline
from adapters.errors import AdapterError, NotConfigured
from adapters.google_errors import as_adapter_error, sdk_errors
from adapters.google_wire import GeminiDecoder, encode_config, encode_contents
from adapters.http_client import CONNECT_S, OpenResponses, not_installed, open_http_client
from adapters.messages import ProviderName, ReplyEvent
from adapters.openai_wire import Wire
from adapters.streaming import checked, events_of

if TYPE_CHECKING:
    import httpx2
    from google.genai.client import AsyncClient

GOOGLE_URL = "https://generativelanguage.googleapis.com"
API_VERSION = "v1beta"
"""Tools, schemas as JSON Schema, and thoughts are in this version of the API."""
NO_KEY = "none"
"""Sent to a gateway that needs no key: the SDK insists on having one."""
READ = {"candidates", "usage_metadata", "prompt_feedback"}


class GoogleAdapter(BaseAdapter):
    """``base_url`` None means Google's own; a gateway may do without a key. ``thoughts`` asks for a summary of what the model
    thinks also where the request names no effort; models that do not think refuse that. Prompts are cached without being
    asked. The SDK does not retry.
    """

    def __init__(
        self,
        provider: ProviderName,
        api_key: str | None,
        base_url: str | None = None,
        api_version: str = API_VERSION,
        *,
        thoughts: bool = False,
        connect_s: float = CONNECT_S,
    ) -> None:
        self.provider = provider
        self._api_key = api_key or None
        self._base_url = (base_url or GOOGLE_URL).rstrip("/")
        self._api_version = API_VERSION if api_version == "beta" else api_version  # the SDK's own short name
        self._thoughts = thoughts
        self._connect_s = connect_s
        self._opening = asyncio.Lock()
        self._responses = OpenResponses()
        self._opened: tuple[AsyncClient, httpx2.AsyncClient] | None = None

    async def chat(self, request: ChatRequest) -> AsyncIterator[ReplyEvent]:
        if self._api_key is None and self._base_url == GOOGLE_URL:
            raise NotConfigured("Set GEMINI_API_KEY: a key is made at aistudio.google.com.")
        deadline = Deadline(request)
        contents, config = encode_contents(request.messages, self.provider), encode_config(request)
        if self._thoughts:
            config.setdefault("thinking_config", {"include_thoughts": True})
        # The SDK's stream, when it is closed, does not close the response.
        number = self._responses.number()
        config["http_options"] = {"headers": {OpenResponses.HEADER: number}}
        with deadline.waiting():
            client = await self._open()

        async def ask() -> Any:
            return await client.models.generate_content_stream(
                model=request.model,
                contents=contents,  # type: ignore[arg-type]  # as below
                config=config,  # type: ignore[arg-type]  # its keys are those of the SDK's own dictionary
            )

        events = events_of(_GoogleSdk(), ask, GeminiDecoder(self.provider), deadline, self._api_key)
        try:
            async with aclosing(events):
                async for event in events:
                    yield event
        finally:
            await self._responses.abandon(number)

    async def check(self) -> None:
        client = await self._open()
        await checked(_GoogleSdk(), lambda: client.models.list(config={"page_size": 1}), self._api_key)

    async def aclose(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened[0].aclose()
            await opened[1].aclose()

    async def _open(self) -> "AsyncClient":
        async with self._opening:
            if self._opened is None:
                # The SDK takes more than a second to import: in a thread, so that nobody else's answer waits.
                self._opened = await asyncio.to_thread(self._build)
            return self._opened[0]

    def _build(self) -> "tuple[AsyncClient, httpx2.AsyncClient]":
        try:
            genai = importlib.import_module("google.genai")
        except ImportError as error:
            raise not_installed("google-genai", error) from error
        http = open_http_client(self._connect_s)
        self._responses.watch(http)
        client = genai.Client(
            api_key=self._api_key or NO_KEY,
            vertexai=False,  # or the environment decides, and another API is spoken
            http_options={
                "base_url": self._base_url,
                "api_version": self._api_version,
                "httpx_async_client": http,
            },
        )
        return client.aio, http


class _GoogleSdk:
    def errors(self) -> tuple[type[Exception], ...]:
        return sdk_errors()

    def as_adapter_error(self, error: Exception) -> AdapterError:
        return as_adapter_error(error)

    def as_wire(self, chunk: Any) -> Wire:
        wire: Wire = chunk.model_dump(exclude_none=True, include=READ)
        return wire

    async def close(self, stream: Any) -> None:
        await stream.aclose()
