"""The two secrets of a ledger, in files of their own under ``CARPOOL_HOME``: its signing key, and that of its pseudonyms.

Neither ever stands in the database, a log or an entry. Losing the first, nobody can sign as this ledger any more; losing
the second, it no longer knows whose turns and conversations are whose. So they are made once, and never made again for a
ledger that has entries.
"""

import contextlib
import errno
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from ledger.errors import StoreUnusable

SIGNING_FILE = "ledger.key"
PSEUDONYMS_FILE = "pseudonyms.key"
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Keys:
    """``seed`` is that of an Ed25519 key (RFC 8032), ``public_key`` its public half in hex."""

    seed: bytes = field(repr=False)
    public_key: str
    pseudonyms: bytes = field(repr=False)


def keys_exist(home: Path) -> bool:
    return (home / SIGNING_FILE).exists() and (home / PSEUDONYMS_FILE).exists()


def create_keys(home: Path) -> None:
    """Make those that are missing. Durable on return; where two processes do it at once, one wins and both go on.

    Raises ``StoreUnusable`` where they cannot be written; what is half written does not stay.
    """
    # 0.1 s to import, and needed once in the life of a ledger.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    seed = secrets.token_bytes(SECRET_BYTES)
    public_key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    try:
        _create(home / SIGNING_FILE, f"{seed.hex()} {public_key.hex()}\n")
        _create(home / PSEUDONYMS_FILE, f"{secrets.token_hex(SECRET_BYTES)}\n")
    except OSError as error:
        raise StoreUnusable(
            f"the keys of the ledger cannot be written into {home} ({error.strerror})",
            "See that the folder may be written, or free some space on its disk; then start again.",
        ) from error


def read_keys(home: Path) -> Keys:
    """Raises ``StoreUnusable`` where one is missing or damaged."""
    seed, public_key = _read(home / SIGNING_FILE, 2)
    (pseudonyms,) = _read(home / PSEUDONYMS_FILE, 1)
    return Keys(seed, public_key.hex(), pseudonyms)


def _create(path: Path, content: str) -> None:
    """Whole or not at all: the name appears when the content is on disk, and an existing file is never replaced."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            if os.write(descriptor, content.encode()) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    _sync(path.parent)


def _sync(folder: Path) -> None:
    if os.name == "nt":  # Windows has no handle on a folder to flush
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, count: int) -> list[bytes]:
    remedy = f"Restore {path.name} from your last copy: without it this ledger cannot go on."
    try:
        words = [bytes.fromhex(word) for word in path.read_text(encoding="ascii").split()]
    except FileNotFoundError as error:
        raise StoreUnusable(f"{path} is missing", remedy) from error
    except (OSError, ValueError) as error:
        # The cause is left out of the sentence: it may quote the file.
        raise StoreUnusable(f"{path} cannot be read as a key", remedy) from error
    if [len(word) for word in words] != [SECRET_BYTES] * count:
        raise StoreUnusable(f"{path} is not a whole key", remedy)
    return words
