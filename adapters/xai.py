"""xAI, through its chat completions."""

from adapters.http_client import CONNECT_S
from adapters.messages import ProviderName
from adapters.openai_compatible import CompatibleAdapter

XAI_URL = "https://api.x.ai/v1"


class XAIAdapter(CompatibleAdapter):
    """Its chat completions take images, and no files: those are ``Refused`` here. Prompts are cached without being asked."""

    def __init__(
        self, provider: ProviderName, api_key: str | None, base_url: str | None = None, *, connect_s: float = CONNECT_S
    ) -> None:
        url = (base_url or XAI_URL).rstrip("/")
        lacks = "" if api_key or url != XAI_URL else "Set XAI_API_KEY: a key is made at console.x.ai."
        super().__init__(provider, api_key, url, reads_files=False, connect_s=connect_s, lacks=lacks)
