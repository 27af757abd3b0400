"""The witness `aics-witness` over HTTP cosigns that the log grew, and refuses a rollback, a fork and a split view."""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from integrations.witness import HttpWitness
from ledger.checkpoint import Checkpoint, cosignatures, open_checkpoint, sign_checkpoint
from ledger.errors import ChainBroken
from ledger.merkle import HashReader
from ledger.notary import Notary
from ledger.note import Signature, Signer, VerifierKey, parse_note, parse_vkey
from ledger.witness import Reply, WitnessRefused, ask_witness, encode_request
from tests.fakes.memory_log import MemoryLog
from tests.fakes.small_ledger import ORIGIN, SIGNER
from tests.processes import kept_environment
from tests.verifiers.big_log import BigLog

PROGRAM = (sys.executable, "-m", "aics_witness")
NAME = "witness.example/w1"
LISTENING = "listening on "
TIME_MAX_S = 30.0


@dataclass(frozen=True)
class Witness:
    key: VerifierKey
    transport: HttpWitness
    config: Path

    async def ask(self, log: BigLog, reader: HashReader, note: bytes, old_size: int = 0) -> tuple[Signature, ...]:
        return await ask_witness(self.transport, reader, note, [log.key], [self.key], old_size)

    async def evidence(self) -> list[str]:
        """Why it kept the requests that it refused."""
        return [item["reason"] for item in json.loads(await run("evidence", "--config", str(self.config)))]


@pytest.fixture
async def witness(log: BigLog, tmp_path: Path) -> AsyncIterator[Witness]:
    config = tmp_path / "witness.json"
    vkey = await run("init", "--config", str(config), "--name", NAME, "--listen", "127.0.0.1:0")
    await run("add-log", "--config", str(config), "--origin", ORIGIN, "--vkey", log.key.text())
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, "serve", "--config", str(config), stdin=DEVNULL, stderr=PIPE, env=kept_environment()
    )
    try:
        async with asyncio.timeout(TIME_MAX_S):
            prefix = await address(process)
        said = asyncio.create_task(process.stderr.read() if process.stderr else asyncio.sleep(0, b""))
        async with HttpWitness(prefix) as transport:
            yield Witness(parse_vkey(vkey.strip()), transport, config)
    finally:
        process.terminate()
        async with asyncio.timeout(TIME_MAX_S):
            await process.wait()
    await said


async def address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    async for line in process.stderr:
        _, found, rest = line.decode().partition(LISTENING)
        if found:
            return rest.split()[0]
    raise AssertionError("the witness ended before it listened")


async def run(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, *arguments, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=kept_environment()
    )
    async with asyncio.timeout(TIME_MAX_S):
        out, error = await process.communicate()
    assert process.returncode == 0, error
    return out.decode()


def signed(log: MemoryLog) -> bytes:
    return sign_checkpoint(Checkpoint(ORIGIN, log.edge.size, log.edge.root()), [SIGNER])


async def test_the_growth_of_the_log_is_cosigned_from_its_first_entry_to_its_last(
    witness: Witness, log: BigLog, tmp_path: Path
) -> None:
    async with log.store() as store:
        before = 0
        for size in sorted(log.notes):
            lines = await witness.ask(log, store, log.notes[size], before)
            assert [line.name for line in lines] == [NAME]
            before = size
        notary = await Notary.open(store, [SIGNER], tmp_path / "checkpoint")
        cosigned = await notary.add(lines, log.note)
        (seen,) = cosignatures(cosigned, [witness.key])
        assert seen.witness == NAME
    assert await witness.evidence() == []


async def test_who_does_not_know_its_size_is_told_it_and_gives_the_proof_from_there(
    witness: Witness, log: BigLog
) -> None:
    first, *_, last = sorted(log.notes)[1:]
    async with log.store() as store:
        await witness.ask(log, store, log.notes[first])
        assert len(await witness.ask(log, store, log.notes[last])) == 1
        assert len(await witness.ask(log, store, log.notes[last], last)) == 1


async def test_a_rollback_is_refused(witness: Witness, log: BigLog) -> None:
    older, newer = sorted(log.notes)[-2:]
    async with log.store() as store:
        await witness.ask(log, store, log.notes[newer])
        for said in (0, older):
            with pytest.raises(ChainBroken, match=f"{newer} entries of this log; it has {older}"):
                await witness.ask(log, store, log.notes[older], said)
    reply = await witness.transport.add_checkpoint(encode_request(newer, [], log.notes[older]))
    assert reply.status == 400


async def test_a_split_view_of_the_same_size_is_refused_and_kept_as_evidence(witness: Witness, log: BigLog) -> None:
    size = sorted(log.notes)[1]
    other = MemoryLog([*log.leaves[: size - 1], log.leaves[size]])
    async with log.store() as store:
        await witness.ask(log, store, log.notes[size])
    for said in (0, size):
        with pytest.raises(ChainBroken):
            await witness.ask(log, other, signed(other), said)
    assert len(await witness.evidence()) > 0


async def test_a_fork_that_grew_is_refused_and_kept_as_evidence(witness: Witness, log: BigLog) -> None:
    size = sorted(log.notes)[1]
    fork = MemoryLog([*log.leaves[: size - 9], *log.leaves[size : size + 500]])
    async with log.store() as store:
        await witness.ask(log, store, log.notes[size])
        with pytest.raises(ChainBroken, match="does not continue"):
            await witness.ask(log, fork, signed(fork), size)
        assert len(await witness.evidence()) == 1
        # It has not moved: the true log goes on.
        assert len(await witness.ask(log, store, log.note, size)) == 1


async def test_each_bit_of_a_proof_counts_and_so_do_its_sizes(witness: Witness, log: BigLog) -> None:
    old, new = sorted(log.notes)[1:3]
    async with log.store() as store:
        await witness.ask(log, store, log.notes[old])
        body = await request(store, log, old, new)
    head, blank, note = body.partition(b"\n\n")
    first, *proof = head.split(b"\n")
    wrong = [
        [first, *proof[:-1]],
        [first, *proof, proof[-1]],
        [first, proof[1], proof[0], *proof[2:]],
        [b"old %d" % (old + 1), *proof],
        [b"old %d" % (old - 1), *proof],
        [b"old 0", *proof],
        *([first, *proof[:at], flipped_letter(line), *proof[at + 1 :]] for at, line in enumerate(proof)),
    ]
    for lines in wrong:
        reply = await witness.transport.add_checkpoint(b"\n".join(lines) + blank + note)
        assert reply.status in (400, 409, 422), lines
    assert (await witness.transport.add_checkpoint(body)).status == 200


def flipped_letter(line: bytes) -> bytes:
    return (b"B" if line[:1] == b"A" else b"A") + line[1:]


async def request(reader: HashReader, log: BigLog, old: int, new: int) -> bytes:
    """What the client sends."""
    sent: list[bytes] = []

    class Kept:
        async def add_checkpoint(self, body: bytes) -> Reply:
            sent.append(body)
            return Reply(503, "text/plain", b"")

    with pytest.raises(Exception, match="503"):
        await ask_witness(Kept(), reader, log.notes[new], [log.key], [], old)
    return sent[0]


async def test_each_bit_of_a_checkpoints_text_counts(witness: Witness, log: BigLog) -> None:
    size = sorted(log.notes)[1]
    note = log.notes[size]
    text = parse_note(note).text.encode()
    for bit in range(0, len(text) * 8, 7):
        changed = bytearray(note)
        changed[bit // 8] ^= 1 << bit % 8
        reply = await witness.transport.add_checkpoint(encode_request(0, [], bytes(changed)))
        assert reply.status in (400, 403, 404)
    assert (await witness.transport.add_checkpoint(encode_request(0, [], note))).status == 200


async def test_a_log_or_a_key_that_it_does_not_know_is_refused(witness: Witness, log: BigLog) -> None:
    for signer in (Signer("other.example", b"s" * 32), Signer(ORIGIN, b"t" * 32)):
        checkpoint = Checkpoint(signer.name, log.size, log.root)
        note = sign_checkpoint(checkpoint, [signer])
        key = signer.verifier()
        assert open_checkpoint(note, [key]) == checkpoint
        async with log.store() as store:
            with pytest.raises(WitnessRefused):
                await ask_witness(witness.transport, store, note, [key], [witness.key])
