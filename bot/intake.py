"""The way in: accept messages durably, hand open turns to workers, stop them, give back what could not be finished."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from bot.commands.table import recognise
from bot.errors import Trouble, explain
from bot.payloads import encode_asked
from bot.platforms.base import Accepted, Incoming, PlatformError
from bot.turn import House, TakenOver, apologise, give_up, run_turn
from ledger.actions import MessageReceived, Refusal, TurnFinished, TurnKind, TurnOutcome
from ledger.entry import Draft, Scope
from ledger.errors import KeyReused, StoreFailed
from ledger.pseudonyms import ConversationId, Pseudonyms, TurnId
from ledger.store import OpenTurn, OwnerId

log = logging.getLogger("carpool.intake")

POLL_S = 2.0
"""How often open turns are looked for without being told: what another process accepted, or left behind when it died."""

BACKOFF_S_MAX = 60.0


@dataclass(slots=True)
class _Running:
    turn: OpenTurn
    stop: asyncio.Event


class Intake:
    """Use as ``async with Intake(...)``: turns are worked on inside. Leaving waits ``shutdown_s`` for those under way."""

    def __init__(self, house: House, pseudonyms: Pseudonyms, owner: OwnerId, clock: Callable[[], int]) -> None:
        self._house = house
        self._pseudonyms = pseudonyms
        self._owner = owner
        self._clock = clock
        self._wake = asyncio.Event()
        self._closing = False
        self._running: dict[TurnId, _Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[TurnId, asyncio.Future[TurnOutcome]] = {}
        self._dispatcher: asyncio.Task[None] | None = None
        self.failed = asyncio.Event()
        """Set when nothing can be recorded any more: the process should end, and start again from disk."""

    async def __aenter__(self) -> "Intake":
        self._wake.set()
        self._dispatcher = asyncio.create_task(self._dispatch(), name="intake")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._closing = True
        self._wake.set()
        if self._dispatcher is not None:
            await self._dispatcher
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._house.limits.shutdown_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def accept(self, incoming: Incoming) -> Accepted:
        """Record a message. **On return it is on disk** and will be answered once, whatever happens to this process.

        Raises ``StoreFailed`` where it could not be recorded: then the platform must not be told that it was.
        """
        address = incoming.address
        scope = Scope(
            self._pseudonyms.workspace(address.platform, address.workspace),
            self._pseudonyms.actor(address.platform, address.workspace, address.person),
            self._pseudonyms.conversation(address.platform, address.workspace, address.channel, address.thread),
            self._pseudonyms.turn(address.platform, address.workspace, incoming.event_identity),
        )
        refusal = await self._refusal(incoming, scope)
        invocation = "" if refusal else recognise(incoming.text, bare=incoming.bare_commands)
        # Only what a model is asked waits its turn in the conversation; a refusal or a command is answered at once.
        kind: TurnKind = "command" if invocation or refusal else "message"
        received = MessageReceived(address.platform, scope.conversation, kind, refusal)
        payload = encode_asked(incoming, invocation, keep_content=refusal != "too_long")
        try:
            (receipt,) = await self._house.roadchain.append(Draft(received, scope, scope.turn, payload))
        except KeyReused:
            # The same event, described otherwise this time (Slack tells of a mention twice): the first one counts.
            return Accepted(scope.turn, scope.conversation, False)
        self._wake.set()
        return Accepted(scope.turn, scope.conversation, receipt.fresh)

    async def ended(self, turn: TurnId) -> TurnOutcome:
        """Wait until a turn that this process accepted has ended. Raises ``StoreFailed`` where it cannot end any more."""
        waiting = self._waiting.setdefault(turn, asyncio.get_running_loop().create_future())
        try:
            if turn not in self._running:
                journal = await self._house.desk.store.entries_of(turn)
                if journal and isinstance(last := journal[-1].entry.action, TurnFinished):
                    return last.outcome
            return await asyncio.shield(waiting)
        finally:
            self._waiting.pop(turn, None)

    def stop(self, conversation: ConversationId) -> int:
        """Stop the answers that this process is making in a conversation. Returns how many turns were told so."""
        found = [
            running
            for running in self._running.values()
            if running.turn.conversation == conversation and running.turn.kind == "message"
        ]
        for running in found:
            running.stop.set()
        return len(found)

    def wake(self) -> None:
        """Look for open turns now: whoever knows of one says so."""
        self._wake.set()

    @property
    def idle(self) -> bool:
        return not self._running

    async def _refusal(self, incoming: Incoming, scope: Scope) -> Refusal:
        limits = self._house.limits
        if len(incoming.text.encode(errors="surrogatepass")) > limits.message_bytes_max:
            return "too_long"
        if not incoming.text.strip() and not incoming.attachments:
            return "empty"
        if await self._house.desk.store.open_turns(scope.workspace) >= limits.queue_length_max:
            return "queue_full"
        return ""

    async def _dispatch(self) -> None:
        while not self._closing:
            try:
                await asyncio.wait_for(self._wake.wait(), POLL_S)
            except TimeoutError:
                pass
            self._wake.clear()
            room = self._house.limits.concurrent_turns_max - len(self._running)
            if room <= 0 or self._closing:
                continue
            try:
                claimed = await self._house.desk.store.claim(
                    self._owner, tuple(self._house.platforms), room, self._clock()
                )
            except StoreFailed as error:
                self._fail(error)
                return
            for turn in claimed:
                self._begin(turn)

    def _begin(self, claimed: OpenTurn) -> None:
        running = _Running(claimed, asyncio.Event())
        self._running[claimed.turn] = running
        task = asyncio.create_task(self._work(claimed, running), name=claimed.turn)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, claimed: OpenTurn, running: _Running) -> None:
        try:
            outcome = await self._run(claimed, running)
        except StoreFailed as error:
            self._fail(error)
            return
        finally:
            self._running.pop(claimed.turn, None)
            self._wake.set()
        if outcome is not None and (waiting := self._waiting.get(claimed.turn)) and not waiting.done():
            waiting.set_result(outcome)

    async def _run(self, claimed: OpenTurn, running: _Running) -> TurnOutcome | None:
        """The outcome, or None where the turn stays open or belongs to another process now."""
        try:
            return await run_turn(claimed, self._house, running.stop)
        except StoreFailed:
            raise
        except TakenOver:
            log.warning("turn is worked on elsewhere", extra={"turn": claimed.turn})
            return None
        except PlatformError as error:
            log.warning("the reply could not be posted", extra={"turn": claimed.turn, "cause": str(error)})
            return await self._put_off(claimed, error.retry_after_s)
        except Exception:  # a fault of ours must reach the person too, as a sentence and not as silence
            log.exception("a turn failed", extra={"turn": claimed.turn})
            return await self._apologise(claimed, running)

    async def _put_off(self, claimed: OpenTurn, retry_after_s: float | None) -> TurnOutcome | None:
        """Give the turn back for a later try; close it where another try is of no use."""
        if retry_after_s is None or claimed.attempts >= self._house.limits.reply_attempts_max:
            await give_up(claimed, self._house, "undelivered")
            return "undelivered"
        wait_s = max(retry_after_s, min(BACKOFF_S_MAX, 2.0 ** (claimed.attempts - 1)))
        await self._house.desk.store.release(claimed.turn, self._clock() + int(wait_s * 1_000_000))
        asyncio.get_running_loop().call_later(wait_s, self._wake.set)
        return None

    async def _apologise(self, claimed: OpenTurn, running: _Running) -> TurnOutcome | None:
        """Say that it failed. What is prepared already is delivered instead; if that fails too, it is put off."""
        sentence = explain(Trouble("internal"), claimed.turn, self._house.limits)
        try:
            await apologise(claimed, self._house, sentence)
            return await run_turn(claimed, self._house, running.stop)
        except StoreFailed:
            raise
        except (KeyReused, TakenOver):
            return await self._put_off(claimed, 0.0)
        except PlatformError as error:
            return await self._put_off(claimed, error.retry_after_s)
        except Exception:  # as above: the turn is tried again a few times, then closed as undelivered
            log.exception("a turn failed again", extra={"turn": claimed.turn})
            return await self._put_off(claimed, 0.0)

    def _fail(self, error: StoreFailed) -> None:
        if not self.failed.is_set():
            log.error("nothing can be recorded any more", extra={"cause": str(error)})
        self.failed.set()
        self._closing = True
        self._wake.set()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(StoreFailed(str(error), error.reason))
