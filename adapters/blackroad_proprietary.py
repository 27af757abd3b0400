"""The house's own endpoint: chat completions at an address and with a key of its own."""

from adapters.http_client import CONNECT_S
from adapters.messages import ProviderName
from adapters.openai_compatible import CompatibleAdapter

LACKS = "Set CARPOOL_BLACKROAD_BASE_URL and CARPOOL_BLACKROAD_API_KEY to the house's own endpoint and its key."


class BlackRoadAdapter(CompatibleAdapter):
    """There is no address to fall back to: without both of them each call is ``NotConfigured``, and says how to change that."""

    def __init__(
        self, provider: ProviderName, api_key: str | None, base_url: str | None, *, connect_s: float = CONNECT_S
    ) -> None:
        lacks = "" if api_key and base_url else LACKS
        super().__init__(
            provider, api_key, (base_url or "").rstrip("/"), reads_files=False, connect_s=connect_s, lacks=lacks
        )
