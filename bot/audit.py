"""The house looks at its own ledger: at all of it, a minute after its start and then once an hour, while it is at work.

The verifier that everybody can run (``ledger/verify.py``), and what compares the rest of the ledger with its entries, are run as
processes of their own, at a low priority. What they find wrong twice is taken for true: then no process records anything any
more, until an operator has seen to it (``carpool ledger reopen``).
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from ledger.errors import StoreFailed
from ledger.roadchain import RoadChain

AUDIT_LOCK = "audit.lock"
FIRST_AFTER_S = 60.0
REST_FACTOR = 20
"""How many times as long as an audit took there is none: a long ledger takes a twentieth of the time at most."""

NICENESS = 10
FOUND = "NOT VERIFIED: "
"""With what the verifier begins to tell of a fault. Where it fails itself it says something else, or nothing."""

EXIT_NO_LEDGER = 2
"""The verifier's own, of a file that is none that it knows. The store knew it when it opened it."""

NO_LEDGER = "RC011: the file says that it is no ledger, or one of another schema than CarPool opened"
FAILED_MAX = 3
"""So many looks in a row that come to nothing are an alarm: who changes a ledger would want just that."""

log = logging.getLogger("carpool.audit")


class Audit:
    """Use as ``async with``. ``file`` gives the ledger as a file. Of several processes with one ``lock`` one audits at a time."""

    def __init__(
        self,
        roadchain: RoadChain,
        file: Callable[[], AbstractAsyncContextManager[Path]],
        lock: Path,
        every_s: float,
        also: Sequence[Path] = (),
    ) -> None:
        """``every_s`` 0: never by itself. ``also`` are programs that are run behind the verifier, and speak as it does."""
        self._roadchain = roadchain
        self._file = file
        self._lock = FileLock(lock)
        self._every_s = every_s
        self._also = also
        self._failed = 0
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Audit":
        if self._every_s and self._roadchain.failure is None:
            self._running = asyncio.create_task(self._run(), name="audit")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running

    async def look(self) -> str:
        """Verify all of it, and see that nothing more is recorded where that finds a fault. Returns the fault, or nothing."""
        fault = await self._found()
        # What is so with the ledger is so the second time.
        if not fault or not (fault := await self._found()):
            return ""
        log.critical("the ledger was changed: nothing more is recorded", extra={"cause": fault})
        await self._roadchain.stop_taking(fault)
        return fault

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        pause_s = min(FIRST_AFTER_S, self._every_s)
        while True:
            await asyncio.sleep(pause_s)
            began_s = clock()
            try:
                with self._lock.acquire(timeout=0):
                    if await self.look():
                        return
            except Timeout:
                pass  # another process of this home is at it
            except (StoreFailed, OSError) as error:
                self._not_audited(str(error))
            except Exception:  # whatever it was, the next look may go well
                log.exception("the ledger could not be audited")
            pause_s = max(self._every_s, REST_FACTOR * (clock() - began_s))

    async def _found(self) -> str:
        from ledger import verify  # what it needs is slow to import, and most starts are over before the first audit

        async with self._file() as file:
            status, said = await _run(verify.__file__, "--db", str(file))
            if status == EXIT_NO_LEDGER and file.exists():
                return NO_LEDGER
            for program in self._also if status == 0 else ():
                status, said = await _run(str(program), str(file))
                if status != 0:
                    break
        if said.startswith(FOUND):
            return said.removeprefix(FOUND)
        if status != 0:
            self._not_audited(said)
        else:
            self._failed = 0
        return ""

    def _not_audited(self, cause: str) -> None:
        self._failed += 1
        level = logging.ERROR if self._failed >= FAILED_MAX else logging.WARNING
        log.log(level, "the ledger could not be audited", extra={"cause": cause})


async def _run(*program: str) -> tuple[int, str]:
    """What a verifier says of a file: its status, and its first line."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *program,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # so that it ends with all that it has started
    )
    try:
        if sys.platform != "win32":
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
        said, _ = await process.communicate()
    except BaseException:  # whoever leaves takes the verifier along
        _kill(process)
        await process.wait()
        raise
    return await process.wait(), said.decode(errors="replace").partition("\n")[0]


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
