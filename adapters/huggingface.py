"""Hugging Face's Inference Providers, and a TGI or vLLM server by its address: through huggingface_hub."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from adapters.base import BaseAdapter, ChatRequest
from adapters.deadline import Deadline
from adapters.errors import AdapterError, NotConfigured, Refused
from adapters.http_client import CONNECT_S, OpenResponses, not_installed, open_http_client
from adapters.huggingface_errors import as_adapter_error, sdk_errors
from adapters.messages import File, ProviderName, ReplyEvent
from adapters.openai_wire import ChunkDecoder, Wire, encode_messages, encode_schema, encode_tools
from adapters.streaming import checked, events_of

if TYPE_CHECKING:
    import httpx2

NO_KEY = "none"
"""Sent to a server of one's own that needs no key: without one the SDK sends it the token that is kept on this machine."""
BEGINS_WITH = "hf_"


class HuggingFaceAdapter(BaseAdapter):
    """``base_url`` None means Hugging Face's router, which picks who runs the model; else a server's address that ends before
    ``/chat/completions``. ``hub_url`` is where a token is checked, None for Hugging Face itself. Files are ``Refused``: chat
    completions there take images only.
    """

    def __init__(
        self,
        provider: ProviderName,
        token: str | None,
        base_url: str | None = None,
        *,
        hub_url: str | None = None,
        connect_s: float = CONNECT_S,
    ) -> None:
        self.provider = provider
        self._token = token or None
        self._base_url = base_url.rstrip("/") if base_url else None
        self._hub_url = hub_url
        self._connect_s = connect_s
        self._opening = asyncio.Lock()
        self._responses = OpenResponses()
        self._http: httpx2.AsyncClient | None = None

    async def chat(self, request: ChatRequest) -> AsyncIterator[ReplyEvent]:
        if self._base_url is None and not (self._token or "").startswith(BEGINS_WITH):
            raise NotConfigured(
                "Set HF_TOKEN to a token that begins with hf_: one is made at huggingface.co/settings/tokens."
            )
        if any(isinstance(part, File) for message in request.messages for part in message.parts):
            raise Refused(f"{self.provider} reads no files")
        deadline = Deadline(request)
        with deadline.waiting():
            http = await self._open()
        number, body = self._responses.number(), self._body(request)
        client = self._client(http, number)
        try:
            events = events_of(
                _HuggingFaceSdk(), lambda: client.chat_completion(**body), ChunkDecoder(), deadline, self._token
            )
            async with aclosing(events):
                async for event in events:
                    yield event
            # The SDK stops at the last event, before the end of the response: the connection would be lost.
            await self._responses.close(number)
        finally:
            await self._responses.abandon(number)
            await client.close()

    async def check(self) -> None:
        """Asks the Hub whose token it is (https://huggingface.co/docs/hub/api, ``/api/whoami-v2``)."""
        if self._base_url is not None or self._token is None:
            raise Refused(f"{self.provider} by an address of one's own has no call that only checks a key")
        http = await self._open()
        await checked(_HuggingFaceSdk(), lambda: self._who(http), self._token)

    async def _who(self, http: "httpx2.AsyncClient") -> None:
        # The SDK's own call waits in a thread that nothing can stop, and reads this machine's proxies: its parts do here.
        hub = importlib.import_module("huggingface_hub")
        url = self._hub_url or hub.constants.ENDPOINT
        response = await http.get(f"{url}/api/whoami-v2", headers=hub.utils.build_hf_headers(token=self._token))
        hub.utils.hf_raise_for_status(response)

    async def aclose(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    def _body(self, request: ChatRequest) -> Wire:
        return {
            "model": request.model,
            "messages": encode_messages(request.messages),
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": request.max_output_tokens,
            "tools": encode_tools(request.tools) or None,
            # The SDK has no word for it: it passes on what stands here.
            "extra_body": None if request.effort is None else {"reasoning_effort": request.effort},
            "response_format": None if request.response_schema is None else encode_schema(request.response_schema),
        }

    def _client(self, http: "httpx2.AsyncClient", number: str) -> Any:
        """One of the SDK's for each call, since it lets go of a stream only when it is itself closed; all share one HTTP
        client, and its connections with that. The attribute is the SDK's own: ``constraints.txt`` pins its version."""
        client = importlib.import_module("huggingface_hub").AsyncInferenceClient(
            base_url=self._base_url,
            provider=None if self._base_url else "auto",
            api_key=self._token or NO_KEY,
            headers={OpenResponses.HEADER: number},
        )
        client._async_client = http
        return client

    async def _open(self) -> "httpx2.AsyncClient":
        async with self._opening:
            if self._http is None:
                self._http = await asyncio.to_thread(self._build)
            return self._http

    def _build(self) -> "httpx2.AsyncClient":
        try:
            # This alone imports what a first call needs: in a thread, so that nobody else's answer waits.
            _ = importlib.import_module("huggingface_hub").AsyncInferenceClient
        except ImportError as error:
            raise not_installed("huggingface_hub", error) from error
        http = open_http_client(self._connect_s)
        hooks = http.event_hooks
        http.event_hooks = {**hooks, "response": [*hooks["response"], _read_error]}
        self._responses.watch(http)
        return http


async def _read_error(response: "httpx2.Response") -> None:
    """The SDK raises for a status before the body is read, and the body may have a code that says more."""
    if response.status_code >= 400:
        await response.aread()


class _HuggingFaceSdk:
    def errors(self) -> tuple[type[Exception], ...]:
        return sdk_errors()

    def as_adapter_error(self, error: Exception) -> AdapterError:
        return as_adapter_error(error)

    def as_wire(self, chunk: Any) -> Wire:
        wire: Wire = _plain(chunk)
        return wire

    async def close(self, stream: Any) -> None:
        await stream.aclose()


def _plain(value: Any) -> Any:
    """The SDK's own values are dictionaries that lack what it does not know; its attributes have that too."""
    match value:
        case dict():
            return {name: _plain(getattr(value, name, item)) for name, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case _:
            return value
