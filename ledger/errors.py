"""What the ledger refuses, and why.

    LedgerError(code)                     an entry, a key or a chain is not as it must be: RC001 to RC012
        InsufficientBalance     RC001     (short) less is there than is asked for, in uRC
        InvalidEntry            RC002     outside the canonical profile, too large, or of no known action
        NotFound                RC003
        HashMismatch            RC004     a proof, a signature, a checkpoint or a receipt does not hold
        LimitReached            RC005     (subject, period, spent, cap) a limit on spending would be passed
        InvalidCurrency         RC006
        TransferToSelf          RC007
        NegativeAmount          RC008
        KeyReused               RC009     an idempotency key came back with another request
        Unauthorised            RC010     what belongs to another workspace
        WitnessRefused          RC010     a witness does not know this log or its key (ledger.witness)
        SystemAccountRestricted RC012     the house's accounts are moved by their own kinds of entry alone
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


class InsufficientBalance(LedgerError):
    """``short`` is how much is missing, in uRC."""

    code = Code.INSUFFICIENT_BALANCE

    def __init__(self, message: str, short: int) -> None:
        super().__init__(message)
        self.short = short


class LimitReached(LedgerError):
    """``spent`` of ``cap`` uRC, with what is expected of the calls under way."""

    code = Code.RATE_LIMIT_EXCEEDED

    def __init__(self, subject: str, period: str, spent: int, cap: int) -> None:
        super().__init__(f"{subject} has spent {spent} of {cap} uRC in {period}")
        self.subject = subject
        self.period = period
        self.spent = spent
        self.cap = cap


class InvalidCurrency(LedgerError):
    code = Code.INVALID_CURRENCY


class TransferToSelf(LedgerError):
    code = Code.TRANSFER_TO_SELF


class NegativeAmount(LedgerError):
    code = Code.NEGATIVE_AMOUNT


class Unauthorised(LedgerError):
    code = Code.UNAUTHORISED


class SystemAccountRestricted(LedgerError):
    code = Code.SYSTEM_ACCOUNT_RESTRICTED


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


FailureReason = Literal["disk_full", "input_output", "busy", "closed", "unreachable", "changed"]


class StoreFailed(StoreError):
    def __init__(self, message: str, reason: FailureReason) -> None:
        super().__init__(message)
        self.reason: FailureReason = reason


class HashMismatch(LedgerError):
    """A proof, a signature, a checkpoint or a receipt does not hold."""

    code = Code.HASH_VERIFICATION_FAILED
