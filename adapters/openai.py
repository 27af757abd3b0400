"""OpenAI, and any server that speaks its chat completions, through the official SDK."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Literal

from adapters.base import BaseAdapter, ChatRequest
from adapters.deadline import Deadline
from adapters.errors import BadReply, NotConfigured
from adapters.messages import ProviderName, ReplyEvent
from adapters.openai_errors import as_adapter_error, sdk_errors
from adapters.openai_wire import ChunkDecoder, Wire, encode_messages, encode_schema, encode_tools

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.resources.chat import AsyncCompletions

OPENAI_URL = "https://api.openai.com/v1"
NO_KEY = "none"
"""Sent as the key to a compatible server that needs none: the SDK insists on having one."""

OutputLimit = Literal["max_completion_tokens", "max_tokens"]


class OpenAIAdapter(BaseAdapter):
    """``base_url`` None means OpenAI's own; any other server may do without a key.

    ``output_limit`` names the field that carries ``max_output_tokens``. Where it is None, OpenAI gets
    ``max_completion_tokens``, since its reasoning models refuse the other, and any other server ``max_tokens``, since
    many know nothing else. ``organization`` and ``project`` say who is billed, where the key belongs to several. The SDK's
    own retries are off: the turn journals each attempt.
    """

    def __init__(
        self,
        provider: ProviderName,
        api_key: str | None,
        base_url: str | None = None,
        output_limit: OutputLimit | None = None,
        *,
        organization: str = "",
        project: str = "",
    ) -> None:
        self.provider = provider
        self._api_key = api_key or None
        self._base_url = (base_url or OPENAI_URL).rstrip("/")
        self._is_openai = self._base_url == OPENAI_URL
        self._output_limit = output_limit or ("max_completion_tokens" if self._is_openai else "max_tokens")
        self._billed = {"OpenAI-Organization": organization, "OpenAI-Project": project}
        self._opening = asyncio.Lock()
        self._opened: tuple[AsyncOpenAI, AsyncCompletions] | None = None

    async def chat(self, request: ChatRequest) -> AsyncIterator[ReplyEvent]:
        deadline = Deadline(request)
        async with deadline.waiting():
            completions = await self._open()
        decoder = ChunkDecoder()
        try:
            async with deadline.waiting():
                stream = await completions.create(**self._body(request), timeout=request.timeout_s)
            try:
                chunks = aiter(stream)
                while True:
                    async with deadline.waiting():
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        break
                    for event in decoder.decode(_as_wire(chunk)):
                        yield event
            finally:
                await stream.close()
        except sdk_errors() as error:
            # A server may repeat the key in its message, and the cause's message reaches the log.
            repeats_key = self._api_key is not None and self._api_key in str(error)
            raise as_adapter_error(error) from (None if repeats_key else error)
        for event in decoder.end():
            yield event

    async def aclose(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened[0].close()

    def _body(self, request: ChatRequest) -> dict[str, Any]:
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
        return body

    async def _open(self) -> "AsyncCompletions":
        if self._api_key is None and self._is_openai:
            raise NotConfigured("Set OPENAI_API_KEY, or OPENAI_BASE_URL to a compatible server that needs no key.")
        async with self._opening:
            if self._opened is None:
                # The SDK takes more than a second to import, and a client a tenth to build: in a thread, so that nobody
                # else's answer waits.
                self._opened = await asyncio.to_thread(self._build)
            return self._opened[1]

    def _build(self) -> "tuple[AsyncOpenAI, AsyncCompletions]":
        try:
            sdk = importlib.import_module("openai")
        except ImportError as error:
            raise NotConfigured("The package openai is not installed: run `make` again.") from error
        client: AsyncOpenAI = sdk.AsyncOpenAI(
            api_key=self._api_key or NO_KEY,
            base_url=self._base_url,
            max_retries=0,
            # Left to itself, the SDK reads them from the environment, and would tell them to another provider.
            default_headers={name: value or sdk.Omit() for name, value in self._billed.items()},
        )
        return client, client.chat.completions


def _as_wire(chunk: Any) -> Wire:
    """The SDK checks no types: it makes a chunk of whatever JSON came."""
    try:
        wire: Wire = chunk.to_dict(warnings=False)
    except AttributeError as error:
        raise BadReply("a chunk that is no JSON object") from error
    return wire
