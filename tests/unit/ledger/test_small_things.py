"""Money as people read it, and pseudonyms that tell nothing."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import money
from ledger.money import Money, rc_text
from ledger.pseudonyms import Pseudonyms


def test_the_examples_of_money_hold() -> None:
    assert doctest.testmod(money).failed == 0
    assert doctest.testmod(money).attempted > 0


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 RC"),
        (1, "under 0.01 RC"),
        (-1, "over -0.01 RC"),
        (10_000, "0.01 RC"),
        (995_000, "1 RC"),
        (994_999, "0.99 RC"),
        (-1_500_000, "-1.5 RC"),
        (123_456_789_000_000, "123456789 RC"),
    ],
)
def test_money_is_told_to_the_hundredth(amount: int, text: str) -> None:
    assert rc_text(Money(amount)) == text


@given(st.integers(1, 10**15))
def test_what_is_not_nothing_is_never_told_as_nothing(amount: int) -> None:
    assert rc_text(Money(amount)) != "0 RC"


ONE, OTHER = Pseudonyms(b"1" * 32), Pseudonyms(b"2" * 32)


def test_the_same_ids_have_the_same_pseudonyms_under_one_secret_only() -> None:
    assert ONE.actor("slack", "T", "U") == Pseudonyms(b"1" * 32).actor("slack", "T", "U")
    assert ONE.actor("slack", "T", "U") != OTHER.actor("slack", "T", "U")


@given(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))
def test_ids_that_read_alike_when_put_together_do_not_meet(a: str, b: str, c: str, d: str) -> None:
    if (a, b) != (c, d):
        assert ONE.conversation("slack", "T", a, b) != ONE.conversation("slack", "T", c, d)


def test_a_pseudonym_is_short_can_be_read_aloud_and_holds_no_id() -> None:
    name = ONE.turn("slack", "T0TEAM", "C0CHANNEL")
    assert len(name) == 18
    assert not set(name[2:]) - set("0123456789abcdefghjkmnpqrstvwxyz")
    assert "1" * 8 not in repr(ONE)


def test_the_same_person_is_another_in_each_workspace() -> None:
    assert ONE.actor("slack", "T1", "U") != ONE.actor("slack", "T2", "U")


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Pseudonyms(b"short")
