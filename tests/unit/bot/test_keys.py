"""Keys: made once, whole or not at all, and never guessed at."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bot.keys import (
    NEXT_FILE,
    PSEUDONYMS_FILE,
    RETIRING_FILE,
    SIGNING_FILE,
    VAULT_FILE,
    begin_vault_rotation,
    create_keys,
    create_vault_key,
    end_vault_rotation,
    keys_exist,
    read_keys,
    read_vault_keys,
    retire_old_key,
    rotate_signing_key,
)
from ledger.errors import StoreUnusable


def test_keys_are_made_once_and_stay(tmp_path: Path) -> None:
    assert not keys_exist(tmp_path)
    create_keys(tmp_path)
    first = read_keys(tmp_path)
    create_keys(tmp_path)
    assert keys_exist(tmp_path)
    assert read_keys(tmp_path) == first
    assert sorted(path.name for path in tmp_path.iterdir()) == [SIGNING_FILE, PSEUDONYMS_FILE]


def test_the_public_key_is_that_of_the_seed(tmp_path: Path) -> None:
    create_keys(tmp_path)
    keys = read_keys(tmp_path)
    assert Ed25519PrivateKey.from_private_bytes(keys.seed).public_key().public_bytes_raw().hex() == keys.public_key
    assert len(keys.pseudonyms) == 32
    assert keys.seed.hex() not in repr(keys)
    assert keys.pseudonyms.hex() not in repr(keys)


def test_of_many_that_make_them_at_once_one_wins_and_all_go_on(tmp_path: Path) -> None:
    def make(_: int) -> str:
        create_keys(tmp_path)
        return repr(read_keys(tmp_path).seed)

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(make, range(16)))) == 1


def test_on_a_full_disk_no_key_is_half_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("bot.keys.os.write", full)
    with pytest.raises(StoreUnusable, match="cannot be written") as caught:
        create_keys(tmp_path)
    assert "No space left on device" in str(caught.value)
    assert "free some space" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    create_keys(tmp_path)
    assert keys_exist(tmp_path)


@pytest.mark.parametrize("content", ["", "zz", "00" * 31, "00" * 32, "00" * 32 + " " + "00" * 32 + " 00", "\x00\xff"])
def test_a_damaged_key_is_named_and_not_quoted(tmp_path: Path, content: str) -> None:
    create_keys(tmp_path)
    (tmp_path / SIGNING_FILE).write_bytes(content.encode("latin-1"))
    with pytest.raises(StoreUnusable, match=SIGNING_FILE) as caught:
        read_keys(tmp_path)
    assert "Restore" in caught.value.remedy
    assert not content or content not in str(caught.value)


def test_after_a_rotation_both_keys_sign_until_the_old_one_is_retired(tmp_path: Path) -> None:
    create_keys(tmp_path)
    before = read_keys(tmp_path)
    assert before.signing_seeds == (before.seed,)
    rotated = rotate_signing_key(tmp_path)
    assert rotated == read_keys(tmp_path)
    assert rotated.seed != before.seed
    assert rotated.public_key != before.public_key
    assert rotated.signing_seeds == (rotated.seed, before.seed)
    assert rotated.pseudonyms == before.pseudonyms
    assert before.seed.hex() not in repr(rotated)
    assert repr(before.seed) not in repr(rotated)
    retire_old_key(tmp_path)
    assert read_keys(tmp_path).signing_seeds == (rotated.seed,)
    retire_old_key(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [SIGNING_FILE, PSEUDONYMS_FILE]


def test_the_files_of_a_rotation_are_for_the_owner_alone(tmp_path: Path) -> None:
    create_keys(tmp_path)
    rotate_signing_key(tmp_path)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_second_rotation_waits_for_the_end_of_the_first(tmp_path: Path) -> None:
    create_keys(tmp_path)
    rotated = rotate_signing_key(tmp_path)
    with pytest.raises(StoreUnusable, match="rotated before"):
        rotate_signing_key(tmp_path)
    assert read_keys(tmp_path) == rotated


@pytest.mark.parametrize("call", ["os.link", "pathlib.Path.replace"])
def test_an_interrupted_rotation_leaves_the_old_key_in_use_and_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    create_keys(tmp_path)
    before = read_keys(tmp_path)

    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        real_link = os.link
        # The new key's own file is linked into place first.
        patch.setattr(
            call, fail if call != "os.link" else lambda a, b: fail() if "before" in b.name else real_link(a, b)
        )
        with pytest.raises(OSError, match="No space"):
            rotate_signing_key(tmp_path)
    assert read_keys(tmp_path) == before
    prepared = (tmp_path / NEXT_FILE).read_text()
    rotated = rotate_signing_key(tmp_path)
    assert rotated.signing_seeds == (rotated.seed, before.seed)
    assert prepared.startswith(rotated.seed.hex())
    assert (tmp_path / RETIRING_FILE).exists()


def test_the_vaults_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    assert read_vault_keys(tmp_path) == ()
    first = create_vault_key(tmp_path)
    assert create_vault_key(tmp_path) == read_vault_keys(tmp_path) == first
    assert [len(key) for key in first] == [32]
    assert (tmp_path / VAULT_FILE).stat().st_mode & 0o777 == 0o600


def test_while_the_vaults_key_is_rotated_both_are_there_and_then_the_new_one(tmp_path: Path) -> None:
    (old,) = create_vault_key(tmp_path)
    new, before = begin_vault_rotation(tmp_path)
    assert before == old != new
    # Cut off here, it goes on with the same two.
    assert begin_vault_rotation(tmp_path) == (new, old)
    end_vault_rotation(tmp_path)
    end_vault_rotation(tmp_path)
    assert read_vault_keys(tmp_path) == (new,)
    assert (tmp_path / VAULT_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "zz", "ab" * 31, " ".join(["ab" * 32] * 3)])
def test_a_damaged_vault_key_is_named_and_not_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / VAULT_FILE).write_text(content)
    with pytest.raises(StoreUnusable, match=r"vault\.key"):
        create_vault_key(tmp_path)
    assert (tmp_path / VAULT_FILE).read_text() == content
