"""Keys that people bring: sealed at rest, and bound to whose they are.

AES-256-GCM (NIST SP 800-38D) under a key that is never in the store. Owner and provider are associated data, so that a sealed key
that was moved to another owner, or given another provider's name, does not open. A sealed key is one byte for its form, four that
name the vault's key, twelve of nonce, and the ciphertext with its tag.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from adapters.messages import ProviderName
from bot.secret import Secret
from integrations.secrets import SealedSecret, SecretStore
from ledger.pseudonyms import ActorId, WorkspaceId

FORM = b"\x01"
NAME_BYTES = 4
NONCE_BYTES = 12
TAG_BYTES = 16
VAULT_KEY_BYTES = 32


class NotOpened(Exception):
    """A sealed key does not open: it was sealed under a key that is not here, or it is not what was sealed."""

    def __init__(self, owner: str, provider: str) -> None:
        super().__init__(f"the key of {owner} for {provider} cannot be opened")
        self.remedy = (
            f"The key for {provider} cannot be opened: put back the vault's key with which it was added, "
            f"or remove the key for {provider} and add it again."
        )


class Owner(Protocol):
    """Whose a key is. No two have the same text."""

    @property
    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """``person`` None: all of the workspace. ``workspace`` None as well: all of the house."""

    workspace: WorkspaceId | None = None
    person: ActorId | None = None

    @property
    def text(self) -> str:
        return "/".join(("house", self.workspace or "", self.person or "")).rstrip("/")


@dataclass(frozen=True, slots=True)
class HeldKey:
    owner: str
    provider: ProviderName
    key: Secret


class Vault:
    """``keys`` are the vault's own, 32 bytes each: the first seals, each of them opens what was sealed with it.

    ``again`` reads them anew: another process may have given the vault a new key since.
    """

    def __init__(
        self, store: SecretStore, keys: Sequence[bytes], again: Callable[[], Sequence[bytes]] | None = None
    ) -> None:
        if not keys or any(len(key) != VAULT_KEY_BYTES for key in keys):
            raise ValueError(f"a vault's key has {VAULT_KEY_BYTES} bytes")
        self._store = store
        self._keys = {_name(key): key for key in keys}
        self._first = _name(keys[0])
        self._again = again

    def __repr__(self) -> str:
        return "Vault(keys=…)"

    async def keep(self, owner: Owner, provider: ProviderName, key: Secret) -> None:
        """In place of the one before it. Durable on return. Raises ``StoreFailed``."""
        await self._store.keep_secrets([self._seal(owner.text, provider, key.reveal().encode())])

    async def drop(self, owner: Owner, provider: ProviderName) -> bool:
        """Durable on return; false where there was none. Raises ``StoreFailed``."""
        return await self._store.drop_secret(owner.text, provider)

    async def held(self, *owners: Owner) -> tuple[HeldKey, ...]:
        """What these have, the first owner's first. Raises ``NotOpened``, ``StoreFailed``."""
        return tuple(
            HeldKey(sealed.owner, ProviderName(sealed.name), self.opened(sealed))
            for sealed in await self.sealed(*owners)
        )

    async def sealed(self, *owners: Owner) -> tuple[SealedSecret, ...]:
        """What these have, the first owner's first, as it is kept. Raises ``StoreFailed``."""
        texts = [owner.text for owner in owners]
        return tuple(sorted(await self._store.secrets(texts), key=lambda sealed: texts.index(sealed.owner)))

    async def of_kind(self, kind: str) -> tuple[SealedSecret, ...]:
        """What those have whose text begins so, as it is kept. Raises ``StoreFailed``."""
        return tuple(sealed for sealed in await self._store.all_secrets() if sealed.owner.startswith(kind))

    def opened(self, sealed: SealedSecret) -> Secret:
        """Raises ``NotOpened``."""
        return Secret(self._open(sealed).decode())

    async def reseal(self) -> int:
        """Seal anew under the first key what was sealed under another: after that the others are of no more use.

        All of them or none; durable on return. Returns how many. Raises ``NotOpened``, ``StoreFailed``.
        """
        old = [sealed for sealed in await self._store.all_secrets() if sealed.sealed[1 : 1 + NAME_BYTES] != self._first]
        await self._store.keep_secrets([self._seal(item.owner, item.name, self._open(item)) for item in old])
        return len(old)

    def _seal(self, owner: str, name: str, plain: bytes) -> SealedSecret:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._look_again()
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(self._keys[self._first]).encrypt(nonce, plain, _bound(owner, name))
        return SealedSecret(owner, name, b"".join((FORM, self._first, nonce, sealed)))

    def _look_again(self) -> None:
        if self._again is None:
            return
        keys = self._again()
        self._keys |= {_name(key): key for key in keys}
        self._first = _name(keys[0])

    def _open(self, secret: SealedSecret) -> bytes:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        start = len(FORM) + NAME_BYTES
        form, name, nonce, rest = (
            secret.sealed[: len(FORM)],
            secret.sealed[len(FORM) : start],
            secret.sealed[start : start + NONCE_BYTES],
            secret.sealed[start + NONCE_BYTES :],
        )
        if name not in self._keys:
            self._look_again()
        if form != FORM or name not in self._keys or len(rest) < TAG_BYTES:
            raise NotOpened(secret.owner, secret.name)
        try:
            return AESGCM(self._keys[name]).decrypt(nonce, rest, _bound(secret.owner, secret.name))
        except InvalidTag as error:
            raise NotOpened(secret.owner, secret.name) from error


def _name(key: bytes) -> bytes:
    """What a sealed key calls the vault's key. It tells nothing of it: a hash of 256 random bits."""
    return hashlib.sha256(b"carpool vault key" + key).digest()[:NAME_BYTES]


def _bound(owner: str, name: str) -> bytes:
    # Each part after its length: ("ab", "c") and ("a", "bc") must not be the same.
    return b"".join(len(part).to_bytes(4, "big") + part for part in (owner.encode(), name.encode()))
