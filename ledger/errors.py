"""What the ledger refuses, and why.

    LedgerError(code)                     an entry, a key or a chain is not as it must be: RC001 to RC012
        InvalidEntry            RC002     outside the canonical profile, too large, or of no known action
        NotFound                RC003
        KeyReused               RC009     an idempotency key came back with another request
        ChainBroken             RC011     the stored chain contradicts itself
    StoreError                            the chain is sound as far as is known; the place it is kept is not usable
        StoreUnusable(remedy)             a foreign or corrupt file, a newer schema, no permission: found at the start
        StoreFailed(reason)               a commit failed: nothing of it counts, and the writer takes no more

The codes are those of RoadChain and never change their meaning.
"""

from enum import StrEnum
from typing import ClassVar, Literal


class Code(StrEnum):
    INSUFFICIENT_BALANCE = "RC001"
    INVALID_ENTRY_TYPE = "RC002"
    ENTITY_NOT_FOUND = "RC003"
    HASH_VERIFICATION_FAILED = "RC004"
    RATE_LIMIT_EXCEEDED = "RC005"
    INVALID_CURRENCY = "RC006"
    TRANSFER_TO_SELF = "RC007"
    NEGATIVE_AMOUNT = "RC008"
    DUPLICATE_IDEMPOTENCY_KEY = "RC009"
    UNAUTHORISED = "RC010"
    CHAIN_INTEGRITY_VIOLATION = "RC011"
    SYSTEM_ACCOUNT_RESTRICTED = "RC012"


class LedgerError(Exception):
    code: ClassVar[Code]

    def __str__(self) -> str:
        return f"{self.code}: {super().__str__()}"


class InvalidEntry(LedgerError):
    code = Code.INVALID_ENTRY_TYPE


class NotFound(LedgerError):
    code = Code.ENTITY_NOT_FOUND


class KeyReused(LedgerError):
    code = Code.DUPLICATE_IDEMPOTENCY_KEY


class ChainBroken(LedgerError):
    code = Code.CHAIN_INTEGRITY_VIOLATION


class StoreError(Exception):
    pass


class StoreUnusable(StoreError):
    """``remedy`` is a sentence for the operator."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


FailureReason = Literal["disk_full", "input_output", "busy", "closed", "unreachable"]


class StoreFailed(StoreError):
    def __init__(self, message: str, reason: FailureReason) -> None:
        super().__init__(message)
        self.reason: FailureReason = reason
