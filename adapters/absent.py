"""What stands in for a provider that is not connected any more: it refuses, so that the next candidate is asked."""

from collections.abc import AsyncIterator

from adapters.base import BaseAdapter, ChatRequest
from adapters.errors import NotConfigured
from adapters.messages import ProviderName, ReplyEvent


class AbsentAdapter(BaseAdapter):
    def __init__(self, provider: ProviderName) -> None:
        self.provider = provider

    async def chat(self, request: ChatRequest) -> AsyncIterator[ReplyEvent]:
        """Raises ``NotConfigured``."""
        raise NotConfigured(f"No key for {self.provider} is there any more.")
        yield  # so that it is a stream like any other
