"""Pseudonyms: what stands in an entry where a platform's own id would tell who or where it was.

HMAC-SHA-256 under a secret of the workspace, itself derived from the house's secret, so that one workspace's pseudonyms
say nothing of another's. Without the secret a pseudonym cannot be guessed back; with it, the same person always has the
same one, which is how a conversation is found again.
"""

import hashlib
import hmac
from typing import NewType

WorkspaceId = NewType("WorkspaceId", str)
ActorId = NewType("ActorId", str)
ConversationId = NewType("ConversationId", str)
TurnId = NewType("TurnId", str)

# Crockford's alphabet: no I, L, O or U, so that a reference can be read aloud.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Pseudonyms:
    """Pure: the same secret and the same ids give the same pseudonyms, on each machine and after each restart."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 32:
            raise ValueError("the secret of the pseudonyms has at least 32 bytes")
        self._secret = secret

    def __repr__(self) -> str:
        return "Pseudonyms(secret=…)"

    def workspace(self, platform: str, workspace: str) -> WorkspaceId:
        return WorkspaceId("w-" + _name(self._secret, "workspace", platform, workspace))

    def actor(self, platform: str, workspace: str, person: str) -> ActorId:
        return ActorId("a-" + _name(self._of(platform, workspace), "actor", person))

    def conversation(self, platform: str, workspace: str, channel: str, thread: str) -> ConversationId:
        return ConversationId("c-" + _name(self._of(platform, workspace), "conversation", channel, thread))

    def turn(self, platform: str, workspace: str, event_identity: str) -> TurnId:
        """The turn that a platform's event asks for: a redelivered event names the same turn."""
        return TurnId("t-" + _name(self._of(platform, workspace), "turn", event_identity))

    def _of(self, platform: str, workspace: str) -> bytes:
        return _mac(self._secret, "secret", platform, workspace)


def _mac(secret: bytes, *parts: str) -> bytes:
    # Each part is preceded by its length: ("ab", "c") and ("a", "bc") must not meet.
    message = b"".join(len(data := part.encode(errors="surrogatepass")).to_bytes(4, "big") + data for part in parts)
    return hmac.digest(secret, message, hashlib.sha256)


def _name(secret: bytes, *parts: str) -> str:
    """80 bits in 16 letters: a billion turns meet by chance once in two million ledgers."""
    number = int.from_bytes(_mac(secret, *parts)[:10], "big")
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(75, -5, -5))
