"""A way to services and back that leads all platforms to one address."""

from dataclasses import dataclass

from integrations.oauth import OAuthApp


@dataclass(frozen=True)
class ToThe:
    """Everybody is led back to this address."""

    address: str

    async def back(self, platform: str, oauth: OAuthApp) -> str:
        return self.address

    def there(self, platform: str, url: str) -> str:
        return url
