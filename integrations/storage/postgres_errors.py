"""What asyncpg raises, as errors of the ledger. Mapped here and nowhere else, by type.

Nothing here quotes a connection's URL: it may hold a password. A place is named as ``HOST:PORT/DATABASE``.
"""

import ssl
from urllib.parse import urlsplit

import asyncpg

from ledger.errors import FailureReason, StoreFailed, StoreUnusable

FOREIGN = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""All that a call of asyncpg raises where the server, or the way to it, is at fault. ``TimeoutError`` is an ``OSError``."""


def place(url: str) -> str:
    """Where a URL leads, without who goes there."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.hostname or 'this machine'}{port}{parts.path}"


def unusable(error: Exception, url: str) -> StoreUnusable:
    """Found while the store is opened."""
    what, remedy = _said(error)
    return StoreUnusable(f"the PostgreSQL database {place(url)} {what}", remedy)


def _said(error: Exception) -> tuple[str, str]:
    match error:
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return "refuses this user or password", "Correct the user and the password in CARPOOL_DATABASE_URL."
        case asyncpg.InvalidCatalogNameError():
            return "does not exist", "Make it with `createdb`, or correct the name in CARPOOL_DATABASE_URL."
        case asyncpg.TooManyConnectionsError():
            return "takes no more connections", "Raise max_connections there, or stop a program that holds some."
        case asyncpg.CannotConnectNowError():
            return "is just starting or stopping", "Start again in a moment."
        case asyncpg.InsufficientPrivilegeError():
            return (
                f"does not permit this ({error.args[0]})",
                "Its owner lets this user in with `GRANT CREATE ON DATABASE ... TO ...`, or runs CarPool once as itself.",
            )
        case asyncpg.ReadOnlySQLTransactionError():
            return "may only be read", "Name the primary server in CARPOOL_DATABASE_URL: a standby cannot be written."
        case asyncpg.DiskFullError():
            return "has no space left on its disk", "Free some space on the server, then start again."
        case asyncpg.ClientConfigurationError():
            return "is named in a way that cannot be understood", "Correct CARPOOL_DATABASE_URL."
        case ssl.SSLError():
            return (
                "does not agree on TLS",
                "Set sslmode and its certificates in CARPOOL_DATABASE_URL as the server asks.",
            )
        case TimeoutError():
            return "did not answer in time", "See that the server runs, and that nothing between stops the connection."
        case OSError():
            return "cannot be reached", "See that the server runs and listens there, or correct CARPOOL_DATABASE_URL."
        case asyncpg.PostgresError():
            return f"cannot be used ({error.sqlstate})", "The server's log says more."
        case _:
            return "cannot be used", "See that the address in CARPOOL_DATABASE_URL leads to a PostgreSQL server."


def failed(error: Exception) -> StoreFailed:
    """While it is at work."""
    reason: FailureReason
    match error:
        case asyncpg.DiskFullError() | asyncpg.OutOfMemoryError():
            reason = "disk_full"
        case asyncpg.LockNotAvailableError() | asyncpg.DeadlockDetectedError():
            reason = "busy"
        case (
            asyncpg.PostgresConnectionError()
            | asyncpg.OperatorInterventionError()
            | asyncpg.IdleInTransactionSessionTimeoutError()
            | asyncpg.InterfaceError()
            | asyncpg.InternalClientError()  # so it may be when the connection breaks off in the middle of an answer
            | OSError()
        ):
            reason = "unreachable"
        case _:
            reason = "input_output"
    state = f" {error.sqlstate}" if isinstance(error, asyncpg.PostgresError) else ""
    return StoreFailed(f"PostgreSQL{state}: {type(error).__name__}", reason)
