"""``carpool ledger`` as a person types it."""

import re
from pathlib import Path

import pytest

from tests.processes import Home


async def talk(home: Home) -> str:
    """One question and its answer; gives the turn."""
    assert (await home.run("chat", given=b"hello")).status == 0
    entries = await home.run("ledger", "entries")
    found = re.search(r"reply\.prepared +(t-\w+)", entries.out)
    assert found
    return found[1]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_a_receipt_is_verified_with_the_public_key_alone(home: Home, tmp_path: Path) -> None:
    turn = await talk(home)
    receipt, key = await home.run("ledger", "receipt", turn), await home.run("ledger", "vkey")
    assert (receipt.status, key.status) == (0, 0)
    file = tmp_path / "receipt"
    file.write_text(receipt.out)
    verified = await home.run("ledger", "verify", "--receipt", str(file), "--key", key.out.strip())
    assert verified.status == 0
    assert "reply.prepared" in verified.out
    file.write_text(receipt.out.replace("index 6", "index 5").replace("index 5", "index 4"))
    refused = await home.run("ledger", "verify", "--receipt", str(file), "--key", key.out.strip())
    assert (refused.status, refused.out[:16]) == (1, "NOT VERIFIED: RC")


async def test_an_export_is_verified_and_grows(home: Home, tmp_path: Path) -> None:
    await talk(home)
    folder = tmp_path / "export"
    first = await home.run("ledger", "export", str(folder))
    await talk(home)
    second = await home.run("ledger", "export", str(folder))
    assert (first.status, second.status) == (0, 0)
    verified = await home.run("ledger", "verify", "--dir", str(folder), "--key", str(folder / "vkey"))
    assert verified.status == 0
    assert "hello" not in "".join(path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


async def test_a_key_is_rotated_and_both_verify_until_the_old_one_is_retired(home: Home, tmp_path: Path) -> None:
    await talk(home)
    old = (await home.run("ledger", "vkey")).out.strip()
    rotated = await home.run("ledger", "rotate-key")
    new = (await home.run("ledger", "vkey")).out.strip()
    assert rotated.status == 0
    assert old != new
    for key in (old, new):
        assert (await home.run("ledger", "verify", "--key", key)).status == 0
    await talk(home)
    assert (await home.run("ledger", "retire-key")).status == 0
    await talk(home)
    assert (await home.run("ledger", "verify", "--key", new)).status == 0
    assert (await home.run("ledger", "verify", "--key", old)).status == 1
    again = await home.run("ledger", "retire-key")
    assert (again.status, again.err) == (2, "There is no key to retire: one key signs.\n")


async def test_balances_are_those_of_the_entries(home: Home) -> None:
    await talk(home)
    shown = await home.run("ledger", "balances", "--replay")
    assert (shown.status, shown.out) == (0, "The same as added up from the entries: 0 accounts.\n")
    assert shown.err == "No money has moved yet: there are no accounts.\n"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("receipt", "t-none"), 2, "There is no turn t-none"),
        (("prove", "999"), 2, "There is no entry 999."),
        (("prove", "-1"), 2, "There is no entry -1."),
        (("verify", "--receipt", "missing", "--key", "x"), 2, "not a public key"),
        (("verify", "--dir", "missing"), 2, "usage"),
        (("export", "/dev/null/x"), 1, "cannot be written"),
    ],
)
async def test_what_is_asked_wrongly_gets_a_sentence(
    home: Home, arguments: tuple[str, ...], status: int, said: str
) -> None:
    await talk(home)
    done = await home.run("ledger", *arguments)
    assert done.status == status
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("arguments", [("vkey",), ("balances",), ("export", "x"), ("receipt", "t"), ("rotate-key",)])
async def test_where_there_is_no_ledger_that_is_said(home: Home, arguments: tuple[str, ...]) -> None:
    done = await home.run("ledger", *arguments)
    assert done.status == 2
    assert "There is no ledger" in done.err


async def test_what_a_person_said_is_erased_from_every_file_and_the_receipt_still_verifies(
    home: Home, tmp_path: Path
) -> None:
    home.script = [[{"text": "an indigo answer"}, {"finish": "stop"}]]
    assert (await home.run("chat", given=b"a crimson question")).status == 0
    turn = re.search(r"reply\.prepared +(t-\w+)", (await home.run("ledger", "entries")).out)
    assert turn
    file = tmp_path / "receipt"
    file.write_text((await home.run("ledger", "receipt", turn[1])).out)
    assert any(b"crimson" in path.read_bytes() for path in home.folder.rglob("*.db"))
    erased = await home.run("ledger", "erase", "person", "terminal", "local", "owner")
    assert (erased.status, erased.out[:20]) == (0, "3 texts are erased, ")
    state = [path for path in (home.folder / "home").rglob("*") if path.is_file()]
    assert not [path for path in state if b"crimson" in path.read_bytes() or b"indigo" in path.read_bytes()]
    key = (await home.run("ledger", "vkey")).out.strip()
    assert (await home.run("ledger", "verify", "--receipt", str(file), "--key", key)).status == 0
    assert "3 texts erased" in (await home.run("ledger", "verify")).out


@pytest.mark.parametrize(
    "arguments",
    [
        ("person", "terminal", "local", "somebody-else"),
        ("conversation", "terminal", "local", "another-channel"),
        ("older-than", "terminal", "local", "1"),
    ],
)
async def test_nobody_elses_texts_are_erased(home: Home, arguments: tuple[str, ...]) -> None:
    await talk(home)
    done = await home.run("ledger", "erase", *arguments)
    assert (done.status, done.out[:29]) == (0, "There was nothing to erase. I")


@pytest.mark.parametrize("form", ["hledger", "beancount"])
async def test_a_book_without_money_is_a_journal_too(home: Home, form: str) -> None:
    await talk(home)
    done = await home.run("ledger", "journal", form)
    assert (done.status, done.err) == (0, "")
    assert "RoadChain" in done.out
