"""Secrets that a store keeps beside the ledger, for whoever seals them. What they are sealed with is never in the store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """``owner`` and ``name`` are read as they stand; ``sealed`` tells nothing without the vault's key."""

    owner: str
    name: str
    sealed: bytes = field(repr=False)


class SecretStore(Protocol):
    """Fitted by each store of the ledger. Raises ``StoreFailed``."""

    async def keep_secrets(self, secrets: Sequence[SealedSecret]) -> None:
        """All of them or none, each in place of the one before it. Durable on return."""
        ...

    async def drop_secret(self, owner: str, name: str) -> bool:
        """Durable on return. False where there was none."""
        ...

    async def secrets(self, owners: Sequence[str]) -> tuple[SealedSecret, ...]:
        """Those of these owners, by owner and name."""
        ...

    async def all_secrets(self) -> tuple[SealedSecret, ...]: ...
