"""The HTTP client that every SDK is given: one for each adapter, so that connections are reused, and one kind of time limit."""

from typing import TYPE_CHECKING

from adapters.errors import NotConfigured

if TYPE_CHECKING:
    import httpx2

CONNECTIONS_MAX = 1000
CONNECTIONS_IDLE_MAX = 100
IDLE_S = 30.0


def open_http_client(connect_s: float) -> "httpx2.AsyncClient":
    """A client whose connections are there within ``connect_s``, or the call fails.

    How long an answer may take is kept by ``adapters.deadline``, not here: each SDK would do it in its own way. So the SDK's
    own time limits are taken out of each request. Redirects are not followed: a key does not go where it was not meant to.

    Building one reads the certificates of this machine, which takes a tenth of a second: do it in a thread.
    """
    import httpx2

    timeout = httpx2.Timeout(None, connect=connect_s, pool=connect_s).as_dict()

    async def limit(request: httpx2.Request) -> None:
        request.extensions["timeout"] = timeout

    return httpx2.AsyncClient(
        event_hooks={"request": [limit]},
        limits=httpx2.Limits(
            max_connections=CONNECTIONS_MAX,
            max_keepalive_connections=CONNECTIONS_IDLE_MAX,
            keepalive_expiry=IDLE_S,
        ),
    )


def not_installed(package: str, error: ImportError) -> NotConfigured:
    missing = NotConfigured(f"The package {package} is not installed: run `make` again.")
    missing.__cause__ = error
    return missing
