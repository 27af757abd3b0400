"""OpenAI through its Responses API, and any server that speaks its chat completions: through the official SDK."""

from typing import TYPE_CHECKING, Any, Literal

from adapters.base import ChatRequest
from adapters.deadline import Deadline
from adapters.http_client import CONNECT_S
from adapters.messages import ProviderName
from adapters.openai_compatible import CompatibleAdapter, OpenAISdk, OutputLimit, post
from adapters.responses_wire import ResponseDecoder, encode_request
from adapters.streaming import events_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OPENAI_URL = "https://api.openai.com/v1"

Api = Literal["responses", "completions"]


class OpenAIAdapter(CompatibleAdapter):
    """``base_url`` None means OpenAI's own; any other server may do without a key.

    ``api`` is which of the two interfaces is spoken. Where it is None, OpenAI gets Responses, which alone gives reasoning
    back, and any other server chat completions, since many know nothing else. ``organization`` and ``project`` say who is
    billed, where the key belongs to several.
    """

    def __init__(
        self,
        provider: ProviderName,
        api_key: str | None,
        base_url: str | None = None,
        output_limit: OutputLimit | None = None,
        *,
        api: Api | None = None,
        organization: str = "",
        project: str = "",
        connect_s: float = CONNECT_S,
    ) -> None:
        url = (base_url or OPENAI_URL).rstrip("/")
        is_openai = url == OPENAI_URL
        super().__init__(
            provider,
            api_key,
            url,
            # OpenAI's reasoning models refuse the other.
            output_limit=output_limit or ("max_completion_tokens" if is_openai else "max_tokens"),
            headers={"OpenAI-Organization": organization, "OpenAI-Project": project},
            connect_s=connect_s,
            lacks="Set OPENAI_API_KEY, or OPENAI_BASE_URL to a compatible server that needs no key."
            if is_openai and not api_key
            else "",
        )
        self._api = api or ("responses" if is_openai else "completions")

    def _events(self, client: "AsyncOpenAI", request: ChatRequest, deadline: Deadline) -> Any:
        if self._api == "completions":
            return super()._events(client, request, deadline)
        body = encode_request(request, self.provider)
        decoder = ResponseDecoder(self.provider)
        return events_of(OpenAISdk(), lambda: post(client, "/responses", body), decoder, deadline, self._api_key)
