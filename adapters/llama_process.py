"""A handle on llama.cpp in a process of its own (``adapters.llama_worker``)."""

import asyncio
import itertools
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from adapters.errors import BadReply, NotConfigured, Unavailable
from adapters.openai_wire import Wire

WORKER = Path(__file__).with_name("llama_worker.py")
LINE_BYTES_MAX = 4 * 1024 * 1024
END = b""


@dataclass(frozen=True, slots=True)
class LlamaSettings:
    """``context_tokens`` is for each of the ``parallel_max`` answers. ``threads`` 0 leaves the number to llama.cpp."""

    model: str
    lora: tuple[tuple[str, float], ...]
    context_tokens: int
    parallel_max: int
    threads: int


class LlamaProcess:
    """Started by ``start``. ``ended`` is True once the process is gone, for whatever reason."""

    def __init__(self, process: Process) -> None:
        self.ended = False
        self._process = process
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Queue[bytes | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, settings: LlamaSettings) -> "LlamaProcess":
        """Returns when the weights are loaded. Raises ``NotConfigured`` where they cannot be."""
        # -P keeps this folder off the child's path; the new session keeps Ctrl-C from it.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", str(WORKER)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            limit=LINE_BYTES_MAX,
            start_new_session=True,
        )
        self = cls(process)
        try:
            self._send(asdict(settings))
            line = await self._readline()
            if line == b"loaded\n":
                self._reading = asyncio.create_task(self._read())
                return self
            # It ends by itself now; to kill it as well could take its exit status from asyncio.
            self.ended = line == b"" or line.startswith(b"failed")
            if line == b"failed package\n":
                raise NotConfigured("The package xllamacpp is not installed, or has no wheel for this machine.")
            files = ", ".join((settings.model, *(path for path, _ in settings.lora)))
            raise NotConfigured(
                f"llama.cpp cannot load {files}: damaged, of a kind it does not know, or not made for each other."
            )
        except BaseException:
            await self.end()
            raise

    async def ask(self, body: str) -> AsyncGenerator[Wire, None]:
        """The chunks of one answer. When this is closed early, llama.cpp has let go of the answer on return.

        Raises ``Unavailable`` where the process ends, and ``BadReply``.
        """
        if self.ended:
            raise Unavailable("the process of the local model has ended")
        number = next(self._numbers)
        lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._answers[number] = lines
        line: bytes | None = None
        try:
            self._send({"ask": number, "body": body})
            while (line := await lines.get()) != END:
                if line is None:
                    raise Unavailable("the process of the local model has ended")
                yield _parsed(line)
        finally:
            if line != END and not self.ended:
                self._send({"stop": number})
                while await lines.get():
                    pass
            del self._answers[number]

    async def end(self) -> None:
        """Kill the process: it holds nothing that would have to be saved. Returns when it is gone."""
        if not self.ended:
            self._kill()
        await self._process.wait()
        if self._reading is not None:
            await self._reading

    def _kill(self) -> None:
        self.ended = True
        with suppress(ProcessLookupError):
            self._process.kill()

    def _send(self, message: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _readline(self) -> bytes:
        assert self._process.stdout is not None
        return await self._process.stdout.readline()

    async def _read(self) -> None:
        try:
            while line := await self._readline():
                number, _, chunk = line.rstrip(b"\n").partition(b" ")
                if (lines := self._answers.get(int(number))) is not None:
                    lines.put_nowait(chunk)
            self.ended = True
        except ValueError:  # a line of more than LINE_BYTES_MAX
            self._kill()
        for lines in self._answers.values():
            lines.put_nowait(None)


def _parsed(line: bytes) -> Wire:
    try:
        chunk: Wire = json.loads(line)
    except ValueError as error:
        raise BadReply("a chunk that is not JSON") from error
    return chunk
