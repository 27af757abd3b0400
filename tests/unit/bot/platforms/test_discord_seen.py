"""Up to where Discord was heard: never beyond a message that was not accepted."""

from pathlib import Path

import pytest

from bot.platforms.discord_seen import DIRECTS_MAX, Seen, snowflake
from ledger.errors import StoreFailed


def again(path: Path) -> Seen:
    return Seen(path, snowflake(2_000_000_000))


def test_a_first_start_hears_from_now_on(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "seen.json", 1_000)
    assert seen.upto(0) == 1_000
    assert again(tmp_path / "seen.json").upto(0) == 1_000


def test_what_was_accepted_is_not_read_again(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "seen.json", 1_000)
    with seen.handling(0, 1_001):
        pass
    seen.save()
    assert again(tmp_path / "seen.json").upto(0) == 1_001


def test_a_message_that_could_not_be_accepted_is_read_again_with_all_that_followed(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "seen.json", 1_000)
    with pytest.raises(StoreFailed), seen.handling(0, 1_001):
        raise StoreFailed("SQLite: database or disk is full", "disk_full")
    with seen.handling(0, 1_002):
        pass
    seen.save()
    assert again(tmp_path / "seen.json").upto(0) == 1_000


def test_a_message_under_way_holds_the_mark_before_it(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "seen.json", 1_000)
    with seen.handling(0, 1_001):
        with seen.handling(0, 1_002):
            pass
        assert seen.upto(0) == 1_000
    assert seen.upto(0) == 1_002


def test_the_mark_of_a_shard_that_is_held_stays_and_catches_up_when_it_is_let_go(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "seen.json", 1_000)
    hold = seen.hold(0)
    with seen.handling(0, 1_001):
        pass
    assert seen.upto(0) == 1_000
    assert seen.release(0, hold)
    assert seen.upto(0) == 1_001


def test_a_shard_that_was_held_once_more_is_not_let_go_by_the_first(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "seen.json", 1_000)
    first = seen.hold(0)
    with pytest.raises(StoreFailed), seen.handling(0, 1_001):
        raise StoreFailed("SQLite: database or disk is full", "disk_full")
    assert not seen.release(0, first)
    assert seen.upto(0) == 1_000
    assert seen.release(0, seen.holds(0))


def test_a_shard_that_heard_less_is_what_is_read_on_from(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "seen.json", 1_000)
    assert seen.upto(1) == 1_000
    with seen.handling(0, 2_000):
        pass
    seen.save()
    assert again(tmp_path / "seen.json").upto(0) == 1_000


def test_the_direct_conversations_used_last_are_kept(tmp_path: Path) -> None:
    seen = Seen(tmp_path / "seen.json", 0)
    for number in range(DIRECTS_MAX + 10):
        with seen.handling(0, number + 1, str(number)):
            pass
    seen.save()
    assert again(tmp_path / "seen.json").directs == tuple(str(number) for number in range(10, DIRECTS_MAX + 10))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"upto": "x", "directs": []}', "\x00"])
def test_a_file_that_cannot_be_read_is_begun_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "seen.json").write_text(text, encoding="utf-8")
    seen = Seen(tmp_path / "seen.json", 1_000)
    assert (seen.upto(0), seen.directs) == (1_000, ())
