"""RoadChain: the one writer of the ledger, with group commit.

Callers await ``append``; the writer takes all that is queued when the last commit has ended (no timer) and records it in
one transaction. What a batch comes to is worked out by ``chain.seal``, a pure function, inside the store's transaction and with
the head locked: so any number of processes may append to one chain.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ledger.book import wanted
from ledger.chain import seal
from ledger.entry import Draft
from ledger.errors import LedgerError, StoreFailed
from ledger.store import Group, Receipt, Store

BATCH_DRAFTS_MAX = 1000
SALT_BYTES = 32


def clock_us() -> int:
    return time.time_ns() // 1000


def new_salt() -> bytes:
    return secrets.token_bytes(SALT_BYTES)


@dataclass(frozen=True, slots=True)
class _Waiting:
    group: Group
    outcome: asyncio.Future[tuple[Receipt, ...]]


class RoadChain:
    """Use as ``async with RoadChain(store) as roadchain``. Leaving drains the queue; the store stays open."""

    def __init__(self, store: Store, clock: Callable[[], int] = clock_us, salt: Callable[[], bytes] = new_salt) -> None:
        self._store = store
        self._clock = clock
        self._salt = salt
        self._queue: list[_Waiting] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._failure: StoreFailed | None = None
        self._committed: Callable[[int], None] = _nobody
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "RoadChain":
        self._writer = asyncio.create_task(self._write(), name="roadchain-writer")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._closing = True
        self._wake.set()
        if self._writer is not None:
            await self._writer

    @property
    def failure(self) -> StoreFailed | None:
        """Why nothing can be recorded any more, or None. Only a restart, from what is on disk, heals it."""
        return self._failure

    def watch(self, committed: Callable[[int], None]) -> None:
        """Have the ledger's size told after each commit of this writer."""
        self._committed = committed

    async def stop_taking(self, fault: str) -> None:
        """Nothing more is recorded, by any process: what stands is not to be trusted. That is durable on return.

        The ledger is opened again by ``ledger.reopened``, once it is whole; this writer takes nothing more.
        """
        try:
            await self._store.set_fault(fault)
        finally:
            self.close_for(fault)

    def close_for(self, fault: str) -> None:
        """This writer takes nothing more: the ledger has the fault already."""
        self._poison(StoreFailed(fault, "changed"), ())

    async def append(self, *group: Draft) -> tuple[Receipt, ...]:
        """Record these together or not at all. **On return they are on disk.**

        A draft whose key stands already with the same request gives the first receipt, with ``fresh`` false. Cancelling the
        await does not take an entry back. Raises ``InvalidEntry``, ``KeyReused``, and ``StoreFailed`` once a commit has
        failed: then it is not known whether the entries are on disk, and this writer takes no more.
        """
        if self._failure is not None:
            raise StoreFailed("the ledger takes no more entries until a restart", self._failure.reason)
        if self._closing or self._writer is None:
            raise StoreFailed("the ledger is closed", "closed")
        outcome: asyncio.Future[tuple[Receipt, ...]] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(group, outcome))
        self._wake.set()
        return await outcome

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batch = self._take()
                try:
                    await self._commit(batch)
                except StoreFailed as error:
                    self._poison(error, batch)
                    return
                except BaseException:
                    # A writer that dies in silence would leave each caller waiting for ever.
                    self._poison(StoreFailed("the writer of the ledger has failed", "input_output"), batch)
                    raise
            if self._closing:
                return

    def _take(self) -> list[_Waiting]:
        drafts = 0
        for count, waiting in enumerate(self._queue):
            drafts += len(waiting.group)
            if drafts > BATCH_DRAFTS_MAX and count > 0:
                break
        else:
            count = len(self._queue)
        batch, self._queue = self._queue[:count], self._queue[count:]
        return batch

    async def _commit(self, batch: Sequence[_Waiting]) -> None:
        groups = [waiting.group for waiting in batch]
        touched = wanted(draft for group in groups for draft in group)
        now_us = self._clock()
        sealed = await self._store.commit(touched, lambda found: seal(found, groups, now_us, self._salt))
        self._committed(sealed.head.size)
        for waiting, outcome in zip(batch, sealed.outcomes, strict=True):
            if waiting.outcome.done():  # its caller was cancelled; the entry stands all the same
                continue
            if isinstance(outcome, LedgerError):
                waiting.outcome.set_exception(outcome)
            else:
                waiting.outcome.set_result(outcome)

    def _poison(self, failure: StoreFailed, batch: Sequence[_Waiting]) -> None:
        self._failure = failure
        for waiting in (*batch, *self._queue):
            if not waiting.outcome.done():
                waiting.outcome.set_exception(StoreFailed(str(failure), failure.reason))
        self._queue.clear()


def _nobody(size: int) -> None:
    """Nobody watches."""
