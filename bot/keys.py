"""The secrets of a ledger, each in a file under ``CARPOOL_HOME``: its signing key, that of its pseudonyms, and the vault's.

None ever stands in the database, a log or an entry. Losing the first, nobody can sign as this ledger any more; losing
the second, it no longer knows whose turns and conversations are whose. So they are made once, and never made again for a
ledger that has entries.

The signing key can be changed for another: ``rotate_signing_key`` makes the new one and keeps the one before, so that both sign
for as long as people hold only the old public key; ``retire_old_key`` ends that.

The vault's key seals the keys that people bring. It is made with the first of them, and may stand in the environment instead.
"""

import contextlib
import errno
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from ledger.errors import StoreUnusable
from ledger.files import replace_file, sync_folder

SIGNING_FILE = "ledger.key"
RETIRING_FILE = "ledger.key.before"
NEXT_FILE = "ledger.key.next"
PSEUDONYMS_FILE = "pseudonyms.key"
VAULT_FILE = "vault.key"
VAULT_KEYS_MAX = 2
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Keys:
    """``seed`` is that of an Ed25519 key (RFC 8032), ``public_key`` its public half in hex.

    ``retiring_seed`` is that of the key before, while both sign.
    """

    seed: bytes = field(repr=False)
    public_key: str
    pseudonyms: bytes = field(repr=False)
    retiring_seed: bytes | None = field(default=None, repr=False)

    @property
    def signing_seeds(self) -> tuple[bytes, ...]:
        """Those that sign, the one in use first."""
        return (self.seed,) if self.retiring_seed is None else (self.seed, self.retiring_seed)


def keys_exist(home: Path) -> bool:
    return (home / SIGNING_FILE).exists() and (home / PSEUDONYMS_FILE).exists()


def create_keys(home: Path) -> None:
    """Make those that are missing. Durable on return; where two processes do it at once, one wins and both go on.

    Raises ``StoreUnusable`` where they cannot be written; what is half written does not stay.
    """
    try:
        _create(home / SIGNING_FILE, _new_pair())
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
    return Keys(seed, public_key.hex(), pseudonyms, _retiring(home, seed))


def rotate_signing_key(home: Path) -> Keys:
    """Put a new signing key into use; the one before signs too, until ``retire_old_key``. Durable on return.

    After a crash at any step the key in use is whole, the old one or the new, and calling it again finishes. One caller at a
    time. Raises ``StoreUnusable`` where the last rotation has not ended yet.
    """
    seed, _ = _read(home / SIGNING_FILE, 2)
    if _retiring(home, seed) is not None:
        raise StoreUnusable(
            "the signing key was rotated before, and the key before it still signs",
            "Retire the old key first, when nobody verifies with it any more.",
        )
    _create(home / NEXT_FILE, _new_pair())
    with contextlib.suppress(FileExistsError):  # a rotation that was interrupted here
        os.link(home / SIGNING_FILE, home / RETIRING_FILE)
    sync_folder(home)
    (home / NEXT_FILE).replace(home / SIGNING_FILE)
    sync_folder(home)
    return read_keys(home)


def retire_old_key(home: Path) -> None:
    """The key before the one in use signs no more, and is gone: whoever holds its public half still verifies what it signed."""
    seed, _ = _read(home / SIGNING_FILE, 2)
    if _retiring(home, seed) is not None:
        (home / RETIRING_FILE).unlink()
        sync_folder(home)


def read_vault_keys(home: Path) -> tuple[bytes, ...]:
    """The one that seals first; during a rotation the one before it too. None where there is none yet.

    Raises ``StoreUnusable`` where the file is damaged.
    """
    if not (home / VAULT_FILE).exists():
        return ()
    return tuple(_read(home / VAULT_FILE, 1, VAULT_KEYS_MAX))


def create_vault_key(home: Path) -> tuple[bytes, ...]:
    """Make it where it is missing; durable on return. Where two processes do it at once, one wins and both go on.

    Raises ``StoreUnusable``.
    """
    try:
        _create(home / VAULT_FILE, f"{secrets.token_hex(SECRET_BYTES)}\n")
    except OSError as error:
        raise StoreUnusable(
            f"the vault's key cannot be written into {home} ({error.strerror})",
            "See that the folder may be written, or free some space on its disk; then try again.",
        ) from error
    return read_vault_keys(home)


def begin_vault_rotation(home: Path) -> tuple[bytes, ...]:
    """Put a new vault's key before the one in use, which still opens. Durable on return.

    Where a rotation was cut off, it gives its two keys again. Raises ``StoreUnusable``.
    """
    keys = read_vault_keys(home)
    if len(keys) == 1:
        replace_file(home / VAULT_FILE, f"{secrets.token_hex(SECRET_BYTES)} {keys[0].hex()}\n".encode(), 0o600)
    return read_vault_keys(home)


def end_vault_rotation(home: Path) -> None:
    """Forget the key before: everything is sealed under the new one. Durable on return."""
    keys = read_vault_keys(home)
    if len(keys) > 1:
        replace_file(home / VAULT_FILE, f"{keys[0].hex()}\n".encode(), 0o600)


def _retiring(home: Path, seed: bytes) -> bytes | None:
    if not (home / RETIRING_FILE).exists():
        return None
    before, _ = _read(home / RETIRING_FILE, 2)
    return None if before == seed else before  # the same: a rotation that was interrupted before the new key was in use


def _new_pair() -> str:
    # 0.1 s to import, and needed when a key is made.
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    seed = secrets.token_bytes(SECRET_BYTES)
    public_key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return f"{seed.hex()} {public_key.hex()}\n"


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
    sync_folder(path.parent)


def _read(path: Path, count: int, count_max: int | None = None) -> list[bytes]:
    remedy = f"Restore {path.name} from your last copy: without it this ledger cannot go on."
    try:
        words = [bytes.fromhex(word) for word in path.read_text(encoding="ascii").split()]
    except FileNotFoundError as error:
        raise StoreUnusable(f"{path} is missing", remedy) from error
    except (OSError, ValueError) as error:
        # The cause is left out of the sentence: it may quote the file.
        raise StoreUnusable(f"{path} cannot be read as a key", remedy) from error
    if not count <= len(words) <= (count_max or count) or any(len(word) != SECRET_BYTES for word in words):
        raise StoreUnusable(f"{path} is not a whole key", remedy)
    return words
