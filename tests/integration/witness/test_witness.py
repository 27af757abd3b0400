"""The client against a strict witness over HTTP: it cosigns growth, and nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integrations.witness import HttpWitness
from ledger.checkpoint import Cosigned, cosignatures
from ledger.errors import ChainBroken, HashMismatch
from ledger.notary import Notary
from ledger.note import Signature, Signer, parse_vkey
from ledger.tiles import export
from ledger.verify import read_key, verify_folder
from ledger.witness import WitnessRefused, WitnessUnavailable, ask_witness
from tests.fakes.memory_log import MemoryLog
from tests.fakes.small_ledger import ORIGIN, SIGNER, VKEY, signed, small_ledger
from tests.fakes.witness_server import FakeWitness, running_witness

KEYS = [SIGNER.verifier()]


@pytest.fixture
def witness() -> FakeWitness:
    return FakeWitness(VKEY)


@pytest.fixture
async def transport(witness: FakeWitness) -> AsyncIterator[HttpWitness]:
    async with running_witness(witness) as prefix, HttpWitness(prefix) as transport:
        yield transport


async def ask(
    witness: FakeWitness, transport: HttpWitness, log: MemoryLog, old_size: int = 0, note: bytes = b""
) -> tuple[Signature, ...]:
    keys = [parse_vkey(witness.vkey)]
    return await ask_witness(transport, log, note or signed(log), KEYS, keys, old_size)


async def test_growth_is_cosigned_step_by_step(witness: FakeWitness, transport: HttpWitness) -> None:
    whole = small_ledger(700)
    sizes = (1, 2, 3, 255, 256, 257, 511, 700)
    for before, size in zip((0, *sizes), sizes, strict=False):
        log = MemoryLog(whole.stored[:size])
        (line,) = await ask(witness, transport, log, before)
        assert line.name == witness.name
        assert (witness.seen.size, witness.seen.root) == (size, log.edge.root())
    assert len(witness.requests) == len(sizes)


async def test_a_client_that_does_not_know_the_witnesss_size_learns_it(
    witness: FakeWitness, transport: HttpWitness
) -> None:
    await ask(witness, transport, small_ledger(300))
    witness.requests.clear()
    await ask(witness, transport, small_ledger(700))
    assert [body.split(b"\n")[0] for body in witness.requests] == [b"old 0", b"old 300"]
    await ask(witness, transport, small_ledger(700), 9_999)
    assert len(await ask(witness, transport, small_ledger(700), 700)) == 1


async def test_the_line_is_kept_under_the_checkpoint_and_verified_in_an_export(
    witness: FakeWitness, transport: HttpWitness, tmp_path: Path
) -> None:
    log = small_ledger(300)
    notary = await Notary.open(log, [SIGNER], tmp_path / "checkpoint")
    note = await notary.sign()
    assert note is not None
    lines = await ask(witness, transport, log, note=note)
    cosigned = await notary.add(lines, note)
    assert cosignatures(cosigned, [parse_vkey(witness.vkey)]) == (Cosigned(witness.name, witness.time_s),)
    await export(log, cosigned, KEYS, tmp_path / "folder")
    verified = verify_folder(tmp_path / "folder", [read_key(VKEY), read_key(witness.vkey)])
    assert verified.checkpoint.witnesses == ((witness.name, witness.time_s),)


async def test_a_rollback_is_refused(witness: FakeWitness, transport: HttpWitness) -> None:
    await ask(witness, transport, small_ledger(300))
    with pytest.raises(ChainBroken, match="300 entries of this log; it has 299"):
        await ask(witness, transport, small_ledger(299))
    assert witness.seen.size == 300


async def test_a_split_view_of_the_same_size_is_refused(witness: FakeWitness, transport: HttpWitness) -> None:
    log = small_ledger(300)
    await ask(witness, transport, log)
    fork = MemoryLog([*log.stored[:299], b"other"])
    for old_size in (0, 300):
        with pytest.raises(ChainBroken, match="another root of 300"):
            await ask(witness, transport, fork, old_size)


async def test_a_fork_that_grew_is_refused(witness: FakeWitness, transport: HttpWitness) -> None:
    log = small_ledger(300)
    await ask(witness, transport, log)
    fork = MemoryLog([*log.stored[:200], *(b"other %d" % n for n in range(200))])
    with pytest.raises(ChainBroken, match="does not continue"):
        await ask(witness, transport, fork)
    assert witness.seen.root == log.edge.root()


async def test_a_witness_that_does_not_know_the_log_or_its_key_refuses() -> None:
    log = small_ledger(3)
    stranger = FakeWitness(vkey("other.example", b"o"))
    rekeyed = FakeWitness(vkey(ORIGIN, b"o"))
    for fake, words in ((stranger, "does not know this log"), (rekeyed, "does not trust the key")):
        async with running_witness(fake) as prefix, HttpWitness(prefix) as other:
            with pytest.raises(WitnessRefused, match=words):
                await ask(fake, other, log)


def vkey(name: str, seed: bytes) -> str:
    return Signer(name, seed * 32).verifier().text()


async def test_what_no_known_witness_signed_is_no_cosignature(witness: FakeWitness, transport: HttpWitness) -> None:
    log = small_ledger(3)
    note = signed(log)
    other = FakeWitness(VKEY, seed=b"x" * 32)
    line = witness.cosign(note)
    elsewhere = witness.cosign(signed(small_ledger(4)))
    for body in ("", "x", line.rstrip("\n"), other.cosign(note), elsewhere, line + line, line[:-9] + line[-5:]):
        witness.answer = (200, body.encode(), "text/plain")
        with pytest.raises(HashMismatch):
            await ask(witness, transport, log)
    witness.answer = (200, b"\xff\n", "text/plain")
    with pytest.raises(HashMismatch):
        await ask(witness, transport, log)
    witness.answer = (200, (other.cosign(note) + line).encode(), "text/plain")
    assert [found.line() for found in await ask(witness, transport, log)] == [line]


@pytest.mark.parametrize(
    ("status", "body"), [(400, b""), (500, b""), (429, b""), (302, b""), (204, b""), (200, b"x" * 20_000)]
)
async def test_an_answer_outside_the_protocol_is_worth_another_try(
    witness: FakeWitness, transport: HttpWitness, status: int, body: bytes
) -> None:
    witness.answer = (status, body, "text/plain")
    with pytest.raises(WitnessUnavailable):
        await ask(witness, transport, small_ledger(3))
    assert len(witness.requests) == 1


@pytest.mark.parametrize("body", [b"", b"2", b"02\n", b"x\n", b"-1\n", b"\xff\n"])
async def test_a_conflict_that_names_no_size_is_refused(
    witness: FakeWitness, transport: HttpWitness, body: bytes
) -> None:
    witness.answer = (409, body, "text/x.tlog.size")
    with pytest.raises(HashMismatch):
        await ask(witness, transport, small_ledger(3))


async def test_a_witness_that_keeps_naming_other_sizes_is_given_up(
    witness: FakeWitness, transport: HttpWitness
) -> None:
    witness.answer = (409, b"2\n", "text/x.tlog.size")
    with pytest.raises(WitnessUnavailable, match="the size that it was given"):
        await ask(witness, transport, small_ledger(3))
    assert len(witness.requests) == 2


async def test_a_conflict_without_a_size_is_one_of_roots(witness: FakeWitness, transport: HttpWitness) -> None:
    witness.answer = (409, b"", "text/plain")
    with pytest.raises(ChainBroken, match="another root"):
        await ask(witness, transport, small_ledger(3))


async def test_nobody_there_is_worth_another_try(witness: FakeWitness) -> None:
    async with running_witness(witness) as prefix:
        pass
    async with HttpWitness(prefix) as transport:
        with pytest.raises(WitnessUnavailable, match="cannot be reached"):
            await ask(witness, transport, small_ledger(3))
    with pytest.raises(WitnessUnavailable):
        await ask(witness, HttpWitness(prefix), small_ledger(3))
