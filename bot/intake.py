"""The way in: accept messages durably, hand open turns to workers, stop them, give back what could not be finished."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from adapters.messages import File, Image
from bot.approvals import undecided
from bot.commands.explaining import AGAIN
from bot.commands.table import recognise
from bot.commands.withheld import withheld
from bot.errors import Trouble, explain
from bot.payloads import Asked, decode_asked, encode_asked
from bot.platforms.base import Accepted, Address, Incoming, PlatformError
from bot.rules import rules_of
from bot.run import House, Signs, Suspended, TakenOver, draft_of
from bot.turn import apologise, give_up, run_turn
from ledger.actions import (
    ApprovalRefused,
    MessageReceived,
    MessageWithdrawn,
    PayloadErased,
    Refusal,
    ReplyPrepared,
    TurnFinished,
    TurnKind,
    TurnOutcome,
)
from ledger.entry import Draft, Scope
from ledger.errors import KeyReused, StoreFailed
from ledger.pseudonyms import ConversationId, Pseudonyms, TurnId
from ledger.store import OpenTurn, OwnerId

log = logging.getLogger("carpool.intake")

POLL_S = 2.0
"""How often open turns are looked for without being told: what another process accepted, or left behind when it died."""

BACKOFF_S_MAX = 60.0
FAULTS_MAX = 5
"""How often a turn is tried that fails by a fault of ours: that seldom goes away by itself, as a platform's does."""

Ending: TypeAlias = TurnOutcome | Literal["suspended"]

NEWEST = 2**62
"""Above every ``seq``."""

NOT_KEPT: tuple[Refusal, ...] = ("too_long", "not_allowed", "not_here")
"""Of a message that is refused for one of these, the text is not kept."""


@dataclass(slots=True)
class _Running:
    turn: OpenTurn
    signs: Signs


class Intake:
    """Use as ``async with Intake(...)``: turns are worked on inside. Leaving waits ``shutdown_s`` for those under way."""

    def __init__(self, house: House, pseudonyms: Pseudonyms, owner: OwnerId, clock: Callable[[], int]) -> None:
        self._house = house
        self._pseudonyms = pseudonyms
        self._owner = owner
        self._clock = clock
        self._wake = asyncio.Event()
        self._heard = False
        self._closing = False
        self._running: dict[TurnId, _Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[TurnId, asyncio.Future[Ending]] = {}
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
        scope = self.scope(address, incoming.event_identity)
        refusal = await self._refusal(incoming, scope)
        invocation = "" if refusal else recognise(incoming.text, bare=incoming.bare_commands)
        if (kept := withheld(invocation)) != invocation:
            incoming, invocation = replace(incoming, text=f"/{kept}"), kept
        if invocation.partition(" ")[0] == AGAIN.name:
            again = await self._again(incoming, scope, invocation.partition(" ")[2])
            if again is not None:
                incoming, invocation = again, ""
        # Only what a model is asked waits its turn in the conversation; a refusal or a command is answered at once.
        kind: TurnKind = "command" if invocation or refusal else "message"
        if kind == "message" and self._house.toolbox.changes_something:
            await self._supersede(scope)
        received = MessageReceived(address.platform, scope.conversation, kind, refusal)
        unread = not invocation and incoming.in_thread and await self._is_new(scope.conversation)
        payload = encode_asked(incoming, invocation, refusal not in NOT_KEPT, unread)
        try:
            (receipt,) = await self._house.roadchain.append(Draft(received, scope, scope.turn, payload))
        except KeyReused:
            # The same event, described otherwise this time (Slack tells of a mention twice): the first one counts.
            return Accepted(scope.turn, scope.conversation, False)
        self._wake.set()
        return Accepted(scope.turn, scope.conversation, receipt.fresh)

    async def ended(self, turn: TurnId) -> Ending:
        """Wait until a turn that this process accepted has ended, or waits for a person to decide.

        Raises ``StoreFailed`` where it cannot end any more.
        """
        waiting = self._waiting.setdefault(turn, asyncio.get_running_loop().create_future())
        try:
            if turn not in self._running:
                journal = await self._house.desk.store.entries_of(turn)
                for recorded in reversed(journal):
                    if isinstance(last := recorded.entry.action, TurnFinished):
                        return last.outcome
                if undecided(recorded.entry.action for recorded in journal):
                    return "suspended"
            return await asyncio.shield(waiting)
        finally:
            self._waiting.pop(turn, None)

    async def amend(self, incoming: Incoming, edit: str) -> None:
        """See ``bot.platforms.base.Door``."""
        scope = self.scope(incoming.address, incoming.event_identity)
        asked = await self._asked(scope.turn)
        if asked is None or asked.text == incoming.text:
            return
        if await self._withdrawn(scope, "edited"):
            await self.accept(replace(incoming, event_identity=f"{incoming.event_identity}/{edit}"))

    async def withdraw(self, address: Address, event_identity: str) -> None:
        """See ``bot.platforms.base.Door``. What was said in answer stays: it is the platform's, and others may have read it."""
        scope = self.scope(address, event_identity)
        if await self._asked(scope.turn) is None:
            return
        if await self._withdrawn(scope, "deleted"):
            return  # the turn ends by itself, and takes its texts with it
        if scope.turn in self._running:
            await self.ended(scope.turn)  # the reply that is on its way stands among them
        erased = PayloadErased("turn", scope.turn)
        await self._house.roadchain.append(Draft(erased, scope, f"{scope.turn}/{erased.name}"))

    def conversation(self, address: Address) -> ConversationId:
        return self._pseudonyms.conversation(address.platform, address.workspace, address.channel, address.thread)

    async def knows(self, address: Address) -> bool:
        """See ``bot.platforms.base.Door``."""
        return not await self._is_new(self.conversation(address))

    def scope(self, address: Address, event_identity: str) -> Scope:
        return Scope(
            self._pseudonyms.workspace(address.platform, address.workspace),
            self._pseudonyms.actor(address.platform, address.workspace, address.person),
            self.conversation(address),
            self._pseudonyms.turn(address.platform, address.workspace, event_identity),
        )

    def stop(self, conversation: ConversationId) -> int:
        """Stop the answers that this process is making in a conversation. Returns how many turns were told so."""
        found = [
            running
            for running in self._running.values()
            if running.turn.conversation == conversation and running.turn.kind == "message"
        ]
        for running in found:
            running.signs.stop.set()
        return len(found)

    def wake(self) -> None:
        """Look for open turns now: whoever knows of one says so."""
        self._wake.set()

    def heard(self) -> None:
        """Another process has recorded something of a turn: perhaps of one that is worked on here."""
        self._heard = True
        self._wake.set()

    @property
    def idle(self) -> bool:
        return not self._running

    async def _refusal(self, incoming: Incoming, scope: Scope) -> Refusal:
        rules = rules_of(await self._house.desk.store.settings(scope.workspace))
        channel = self.conversation(replace(incoming.address, thread=""))
        if refusal := rules.refusal(rules.role(incoming.standing, scope.actor), channel):
            # Whoever may set this is heard, or nobody could turn it on again.
            may_set = rules.may(rules.role(incoming.standing, scope.actor), "settings")
            if not (may_set and recognise(incoming.text, bare=incoming.bare_commands)):
                return refusal
        limits = self._house.limits
        if len(incoming.text.encode(errors="surrogatepass")) > limits.message_bytes_max:
            return "too_long"
        if not incoming.text.strip() and not incoming.attachments and not incoming.attached:
            return "empty"
        if await self._house.desk.store.open_turns(scope.workspace) >= limits.queue_length_max:
            return "queue_full"
        return ""

    async def _again(self, incoming: Incoming, scope: Scope, named: str) -> Incoming | None:
        """The question of a turn of this conversation as a new one; None where there is none, or it is another's."""
        store = self._house.desk.store
        turn = TurnId(named) if named else await store.last_turn(scope.conversation, scope.actor, NEWEST)
        entries = () if turn is None else await store.entries_of(turn)
        first = entries[0] if entries else None
        action = None if first is None else first.entry.action
        if first is None or first.body is None or not isinstance(action, MessageReceived):
            return None
        if action.kind != "message" or first.entry.workspace != scope.workspace:
            return None
        if action.conversation != scope.conversation and first.entry.actor != scope.actor:
            return None
        asked = decode_asked(first.body)
        address = replace(asked.address, person=incoming.address.person)
        files = tuple(part for part in asked.parts if isinstance(part, Image | File))
        return replace(incoming, address=address, text=asked.text, attachments=files, attached=asked.attached)

    async def _is_new(self, conversation: ConversationId) -> bool:
        return await self._house.desk.store.conversation(conversation) is None

    async def _asked(self, turn: TurnId) -> Asked | None:
        """What this turn asked, as far as it is known: None where there is no such turn, or its text is erased."""
        entries = await self._house.desk.store.entries_of(turn)
        return decode_asked(entries[0].body) if entries and entries[0].body is not None else None

    async def _withdrawn(self, scope: Scope, cause: Literal["deleted", "edited"]) -> bool:
        """See that an open turn says nothing more. False where it has ended, or its reply is on its way."""
        entries = await self._house.desk.store.entries_of(scope.turn)
        if any(isinstance(recorded.entry.action, ReplyPrepared | TurnFinished) for recorded in entries):
            return False
        action = MessageWithdrawn(cause)
        await self._house.roadchain.append(Draft(action, scope, f"{scope.turn}/{action.name}"))
        if (running := self._running.get(scope.turn)) is not None:
            running.signs.withdraw()
        self._wake.set()
        return True

    async def _dispatch(self) -> None:
        while not self._closing:
            try:
                await asyncio.wait_for(self._wake.wait(), POLL_S)
            except TimeoutError:
                pass
            self._wake.clear()
            if (failure := self._house.roadchain.failure) is not None:
                self._fail(failure)
                return
            if self._heard and self._running and not await self._listen():
                return
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

    async def _listen(self) -> bool:
        """Hand on to the turns under way what another process has recorded of them. False where nothing can be read."""
        self._heard = False
        try:
            told = await self._house.desk.store.told(tuple(self._running))
        except StoreFailed as error:
            self._fail(error)
            return False
        for turn, action in told:
            if (running := self._running.get(turn)) is None:
                continue
            if action == MessageWithdrawn.name:
                running.signs.withdraw()
            else:
                running.signs.stop.set()
        return True

    def _begin(self, claimed: OpenTurn) -> None:
        running = _Running(claimed, Signs.none())
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

    async def _run(self, claimed: OpenTurn, running: _Running) -> Ending | None:
        """The outcome, or None where the turn stays open or belongs to another process now."""
        try:
            return await run_turn(claimed, self._house, running.signs)
        except StoreFailed:
            raise
        except Suspended as suspended:
            return await self._suspend(claimed, suspended)
        except TakenOver:
            log.warning("turn is worked on elsewhere", extra={"turn": claimed.turn})
            return None
        except PlatformError as error:
            log.warning("the reply could not be posted", extra={"turn": claimed.turn, "cause": str(error)})
            return await self._put_off(claimed, error.retry_after_s, fault=False)
        except Exception:  # a fault of ours must reach the person too, as a sentence and not as silence
            log.exception("a turn failed", extra={"turn": claimed.turn})
            return await self._apologise(claimed, running)

    async def _put_off(self, claimed: OpenTurn, retry_after_s: float | None, *, fault: bool) -> TurnOutcome | None:
        """Give the turn back for a later try; close it where another try is of no use. ``fault``: it was ours."""
        attempts_max = FAULTS_MAX if fault else self._house.limits.reply_attempts_max
        if retry_after_s is None or claimed.attempts >= attempts_max:
            await give_up(claimed, self._house, "undelivered")
            return "undelivered"
        wait_s = max(retry_after_s, min(BACKOFF_S_MAX, 2.0 ** (claimed.attempts - 1)))
        await self._house.desk.store.release(claimed.turn, self._clock() + int(wait_s * 1_000_000))
        asyncio.get_running_loop().call_later(wait_s, self._wake.set)
        return None

    async def _suspend(self, claimed: OpenTurn, suspended: Suspended) -> Ending | None:
        """Let go of a turn that waits for a decision. One that came just now must not be slept through."""
        store = self._house.desk.store
        await store.release(claimed.turn, suspended.until_us)
        left_s = max(0.0, (suspended.until_us - self._clock()) / 1_000_000)
        asyncio.get_running_loop().call_later(left_s, self._wake.set)
        waiting = undecided(recorded.entry.action for recorded in await store.entries_of(claimed.turn))
        if suspended.numbers <= {asked.number for asked in waiting}:
            return "suspended"
        await store.release(claimed.turn, 0)
        return None

    async def _supersede(self, scope: Scope) -> None:
        """Whoever writes something else instead of deciding has not approved."""
        store = self._house.desk.store
        if await store.entries_of(scope.turn):
            return  # it was written before, and comes again
        turn = await store.last_turn(scope.conversation, scope.actor, NEWEST)
        entries = () if turn is None or turn == scope.turn else await store.entries_of(turn)
        first = entries[0].entry if entries else None
        if first is None or first.actor != scope.actor or not isinstance(first.action, MessageReceived):
            return
        if first.action.conversation != scope.conversation:
            return
        about = replace(scope, turn=first.turn)
        for asked in undecided(recorded.entry.action for recorded in entries):
            with contextlib.suppress(KeyReused):
                await self._house.roadchain.append(draft_of(about, ApprovalRefused(asked.number, "superseded"), None))

    async def _apologise(self, claimed: OpenTurn, running: _Running) -> Ending | None:
        """Say that it failed. What is prepared already is delivered instead; if that fails too, it is put off."""
        sentence = explain(Trouble("internal"), claimed.turn, self._house.limits, self._house.desk.say)
        try:
            await apologise(claimed, self._house, sentence)
            return await run_turn(claimed, self._house, running.signs)
        except StoreFailed:
            raise
        except (KeyReused, TakenOver):
            return await self._put_off(claimed, 0.0, fault=True)
        except PlatformError as error:
            return await self._put_off(claimed, error.retry_after_s, fault=False)
        except Exception:  # as above: the turn is tried again a few times, then closed as undelivered
            log.exception("a turn failed again", extra={"turn": claimed.turn})
            return await self._put_off(claimed, 0.0, fault=True)

    def _fail(self, error: StoreFailed) -> None:
        if not self.failed.is_set():
            log.error("nothing can be recorded any more", extra={"cause": str(error)})
        self.failed.set()
        self._closing = True
        self._wake.set()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(StoreFailed(str(error), error.reason))
