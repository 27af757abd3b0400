"""Entries as the writer makes them, without a house: genesis, then turns, chained."""

from collections.abc import Sequence
from dataclasses import replace

from ledger.actions import Action, LedgerCreated, ReplyPrepared, ReplySent, TurnFinished
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.entry import GENESIS, Commitment, Entry, encode_entry, hash_text, leaf_hash
from ledger.note import Signer
from ledger.pseudonyms import ActorId, TurnId, WorkspaceId
from tests.fakes.memory_log import MemoryLog

ORIGIN = "carpool.local"
SIGNER = Signer(ORIGIN, b"s" * 32)
VKEY = SIGNER.verifier().text()
START_US = 1_764_011_111_123_456
TURN: Sequence[Action] = (ReplyPrepared(0, "answer", "answered"), ReplySent(0, False), TurnFinished("answered"))


def entries(count: int) -> list[Entry]:
    """Not chained yet: ``chained`` gives each its ``prev``."""
    created = LedgerCreated(ORIGIN, "ab" * 16, SIGNER.verifier().public_key.hex())
    made: list[Entry] = []
    for seq in range(count):
        action = TURN[seq % 3] if seq else created
        made.append(
            Entry(
                seq=seq,
                ts=START_US + seq,
                mono=START_US + seq,
                action=action,
                turn=TurnId(f"t-{seq // 3:016}" if seq else ""),
                actor=ActorId("a-q8rs7vwxyz01234k" if seq else "house"),
                workspace=WorkspaceId("w-9n8m7k6j5h4g3f2e" if seq else ""),
                idem=f"t-{seq // 3:016}/{seq % 3}" if seq else "genesis",
                payload=Commitment(leaf_hash(b"%d" % seq).hex(), 1234) if seq % 3 == 1 else None,
                prev="",
            )
        )
    return made


def chained(made: Sequence[Entry]) -> list[bytes]:
    leaves: list[bytes] = []
    prev = GENESIS
    for entry in made:
        leaves.append(encode_entry(replace(entry, prev=prev)))
        prev = hash_text(leaf_hash(leaves[-1]))
    return leaves


def small_ledger(count: int) -> MemoryLog:
    return MemoryLog(chained(entries(count)))


def signed(log: MemoryLog, *signers: Signer) -> bytes:
    return sign_checkpoint(Checkpoint(ORIGIN, log.edge.size, log.edge.root()), list(signers or (SIGNER,)))
