"""Up to which message Discord has been heard: what a new start reads on from, for the gateway repeats nothing.

A cursor, and no journal: what is accepted stands on RoadChain, and is accepted once however often it is read again.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger("carpool.discord")

DIRECTS_MAX = 200
"""How many direct conversations are looked into after a pause: those used last. Discord lists none to a bot."""

EPOCH_MS = 1_420_070_400_000
"""Discord's ids are times in milliseconds since 2015, shifted by 22 bits."""


def snowflake(unix_s: float) -> int:
    """The lowest id of this moment."""
    return max(0, int(unix_s * 1000) - EPOCH_MS) << 22


class Seen:
    """``floor`` is what this start reads on from. A shard's mark is the last id before which nothing of it is unaccepted.

    While a shard is held its mark stays: there may be something behind it that was not heard, however much is heard since.
    """

    def __init__(self, path: Path, now: int) -> None:
        self._path = path
        self._upto: dict[int, int] = {}
        self._heard: dict[int, int] = {}
        self._holds: dict[int, int] = {}
        self._held: set[int] = set()
        self._under_way: dict[int, set[int]] = {}
        self._directs: dict[str, None] = {}
        self.floor = now
        self._read()
        self.save()

    def upto(self, shard: int) -> int:
        return self._upto.setdefault(shard, self.floor)

    @property
    def directs(self) -> tuple[str, ...]:
        return tuple(self._directs)

    def hold(self, shard: int) -> int:
        """Something of this shard may have been missed. Gives what ``release`` wants to know again."""
        self._held.add(shard)
        self._holds[shard] = self.holds(shard) + 1
        return self._holds[shard]

    def holds(self, shard: int) -> int:
        """How often it was held until now."""
        return self._holds.get(shard, 0)

    def release(self, shard: int, hold: int) -> bool:
        """What was missed up to this hold is accepted. False where it was held once more since: then the mark stays."""
        if self.holds(shard) != hold:
            return False
        self._held.discard(shard)
        self._move(shard)
        return True

    @contextmanager
    def handling(self, shard: int, message: int, direct: str = "") -> Iterator[None]:
        """Around the accepting of a message. Where that fails, the shard is held, and the message has to be read again."""
        under_way = self._under_way.setdefault(shard, set())
        under_way.add(message)
        if direct:
            self._directs.pop(direct, None)
            self._directs[direct] = None
            while len(self._directs) > DIRECTS_MAX:
                self._directs.pop(next(iter(self._directs)))
        try:
            yield
        except BaseException:
            self.hold(shard)
            raise
        finally:
            under_way.discard(message)
        self._heard[shard] = max(self._heard.get(shard, 0), message)
        self._move(shard)

    def _move(self, shard: int) -> None:
        if shard in self._held:
            return
        under_way = self._under_way.get(shard)
        mark = min(under_way) - 1 if under_way else self._heard.get(shard, 0)
        self._upto[shard] = max(self.upto(shard), mark)

    def save(self) -> None:
        """Nothing depends on it but how much is read again, so a disk that takes nothing is no reason to stop."""
        state = {"directs": list(self._directs), "upto": min(self._upto.values(), default=self.floor)}
        waiting = self._path.with_suffix(".new")
        try:
            waiting.write_text(json.dumps(state), encoding="utf-8")
            os.replace(waiting, self._path)
        except OSError as error:
            log.warning("what was seen of Discord could not be kept", extra={"cause": str(error.strerror)})

    def _read(self) -> None:
        try:
            state = json.loads(self._path.read_text(encoding="utf-8"))
            self.floor = min(int(state["upto"]), self.floor)
            self._directs = {str(name): None for name in state["directs"]}
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            log.warning("what was seen of Discord before cannot be read: what was missed meanwhile stays unanswered")
