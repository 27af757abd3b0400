"""A way to services and back that leads all platforms to one address; and a service to be connected by a token."""

from dataclasses import dataclass

from bot.consent import Consent
from bot.credentials import Credentials
from bot.services import Services
from bot.vault import Vault
from integrations.oauth import OAuthApp
from integrations.services import Service, who_at
from integrations.storage.sqlite import SqliteStore
from ledger.roadchain import RoadChain
from tests.fakes.oauth_server import OAuthServer
from tests.house import Connecting

BACK = "https://carpool.example/connect/callback"


@dataclass(frozen=True)
class ToThe:
    """Everybody is led back to this address."""

    address: str

    async def back(self, platform: str, oauth: OAuthApp) -> str:
        return self.address

    def there(self, platform: str, url: str) -> str:
        return url


def notion_at(server: OAuthServer) -> Connecting:
    """Notion alone, whose tokens are those that the server knows."""

    def bring(store: SqliteStore, roadchain: RoadChain) -> Services:
        table = {"notion": Service("notion", "Notion", who_at("Notion", server.url, "/me", "login"), "Make one.")}
        vault = Vault(store, [b"v" * 32])
        held, consent = Credentials(vault, roadchain, table), Consent(b"k" * 32, vault, roadchain, table)
        return Services(table, held, consent, ToThe(BACK))

    return bring
