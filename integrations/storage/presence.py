"""Which processes that work on one SQLite file are alive, as the operating system knows it.

Each holds a lock on a file of its own for as long as it runs. The kernel lets go of it however the process ends, so that a
lease is taken over at once after a crash, and never from a process that is only slow.
"""

import os
import secrets
from pathlib import Path

from filelock import FileLock, Timeout

from ledger.store import OwnerId


class Presence:
    """Held from construction to ``release``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self.owner = OwnerId(f"{os.getpid()}-{secrets.token_hex(4)}")
        self._lock = FileLock(self._path(self.owner))
        self._lock.acquire(timeout=0)

    def alive(self, owner: OwnerId) -> bool:
        """Whether the process holds its lock. What a dead one left is cleared away."""
        if owner == self.owner:
            return True
        path = self._path(owner)
        if not path.exists():
            return False
        probe = FileLock(path)
        try:
            probe.acquire(timeout=0)
        except Timeout:
            return True
        probe.release()
        path.unlink(missing_ok=True)
        return False

    def release(self) -> None:
        self._lock.release()
        self._path(self.owner).unlink(missing_ok=True)

    def _path(self, owner: OwnerId) -> Path:
        return self._folder / f"{owner}.lock"
