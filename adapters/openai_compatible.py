"""Any server that speaks OpenAI's chat completions, through the official SDK."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal

from adapters.base import BaseAdapter, ChatRequest
from adapters.deadline import Deadline
from adapters.errors import AdapterError, NotConfigured, Refused
from adapters.http_client import CONNECT_S, not_installed, open_http_client
from adapters.messages import File, ProviderName, ReplyEvent
from adapters.openai_errors import as_adapter_error, sdk_errors
from adapters.openai_wire import ChunkDecoder, Wire, encode_messages, encode_schema, encode_tools
from adapters.streaming import checked, events_of, wire_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI

NO_KEY = "none"
"""Sent as the key to a server that needs none: the SDK insists on having one."""

OutputLimit = Literal["max_completion_tokens", "max_tokens"]


class CompatibleAdapter(BaseAdapter):
    """``output_limit`` names the field that carries ``max_output_tokens``. The SDK's own retries are off: the turn journals
    each attempt. ``headers`` with an empty value are sent not at all, whatever the SDK finds in the environment.

    ``lacks`` says what to do where the adapter cannot be used as it is set up; each call then raises ``NotConfigured``.
    """

    def __init__(
        self,
        provider: ProviderName,
        api_key: str | None,
        base_url: str,
        *,
        output_limit: OutputLimit = "max_tokens",
        reads_files: bool = True,
        headers: Mapping[str, str] | None = None,
        connect_s: float = CONNECT_S,
        lacks: str = "",
    ) -> None:
        self.provider = provider
        self._api_key = api_key or None
        self._base_url = base_url
        self._output_limit = output_limit
        self._reads_files = reads_files
        self._headers = {"OpenAI-Organization": "", "OpenAI-Project": "", **(headers or {})}
        self._connect_s = connect_s
        self._lacks = lacks
        self._opening = asyncio.Lock()
        self._client: AsyncOpenAI | None = None

    async def chat(self, request: ChatRequest) -> AsyncIterator[ReplyEvent]:
        self._refuse(request)
        deadline = Deadline(request)
        with deadline.waiting():
            client = await self._open()
        async with aclosing(self._events(client, request, deadline)) as events:
            async for event in events:
                yield event

    async def check(self) -> None:
        if self._lacks:
            raise NotConfigured(self._lacks)
        client = await self._open()
        # As plain JSON: of what a server calls its models, nothing has to fit the SDK's types.
        await checked(OpenAISdk(), lambda: client.get("/models", cast_to=object), self._api_key)

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _events(self, client: "AsyncOpenAI", request: ChatRequest, deadline: Deadline) -> Any:
        body = self._completions_body(request)
        return events_of(
            OpenAISdk(), lambda: post(client, "/chat/completions", body), ChunkDecoder(), deadline, self._api_key
        )

    def _refuse(self, request: ChatRequest) -> None:
        if self._lacks:
            raise NotConfigured(self._lacks)
        parts = (part for message in request.messages for part in message.parts)
        if not self._reads_files and any(isinstance(part, File) for part in parts):
            raise Refused(f"{self.provider} reads no files")

    def _completions_body(self, request: ChatRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": request.model,
            "messages": encode_messages(request.messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            self._output_limit: request.max_output_tokens,
        }
        if request.tools:
            body["tools"] = encode_tools(request.tools)
        if request.response_schema is not None:
            body["response_format"] = encode_schema(request.response_schema)
        if request.effort is not None:
            body["reasoning_effort"] = request.effort
        return body

    async def _open(self) -> "AsyncOpenAI":
        async with self._opening:
            if self._client is None:
                # The SDK takes more than a second to import, and a client a tenth to build: in a thread, so that nobody
                # else's answer waits.
                self._client = await asyncio.to_thread(self._build)
            return self._client

    def _build(self) -> "AsyncOpenAI":
        try:
            sdk = importlib.import_module("openai")
        except ImportError as error:
            raise not_installed("openai", error) from error
        client: AsyncOpenAI = sdk.AsyncOpenAI(
            api_key=self._api_key or NO_KEY,
            base_url=self._base_url,
            max_retries=0,
            # Left to itself, the SDK reads them from the environment, and would tell them to another provider.
            default_headers={name: value or sdk.Omit() for name, value in self._headers.items()},
            http_client=open_http_client(self._connect_s),
        )
        return client


def post(client: "AsyncOpenAI", path: str, body: Wire) -> Awaitable[Any]:
    """The stream of an answer, each chunk as the JSON that it is.

    This is the SDK's own way to ask for what it has no types for. Where it has some, it would make objects of each chunk,
    which takes most of the time of a call, and ``adapters.openai_wire`` would take them apart again.
    """
    from openai import AsyncStream

    return client.post(path, cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object])


class OpenAISdk:
    """The openai SDK, as ``adapters.streaming`` wants to know it."""

    def errors(self) -> tuple[type[Exception], ...]:
        return sdk_errors()

    def as_adapter_error(self, error: Exception) -> AdapterError:
        return as_adapter_error(error)

    def as_wire(self, chunk: Any) -> Wire:
        return wire_of(chunk)

    async def close(self, stream: Any) -> None:
        await stream.close()
