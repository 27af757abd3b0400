"""hledger and bean-check add the whole book up, agree with the balances to the unit, and notice where it is a unit off."""

import asyncio
import csv
import io
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from ledger.accounts import RC, Account, Currency
from ledger.book import AccountRow
from ledger.journals import account_of_beancount, account_of_hledger, beancount_journal, hledger_journal
from tests.processes import kept_environment
from tests.verifiers.big_log import BigLog

BEAN_CHECK = (str(Path(sys.executable).parent / "bean-check"), "--no-cache")
UNIT = {RC: 10**6, Currency("EUR"): 10**8}
TIME_MAX_S = 200


@dataclass(frozen=True)
class Journals:
    """Both files of the book, and the balances of the store."""

    hledger: Path
    beancount: Path
    balances: tuple[AccountRow, ...]


@pytest.fixture(scope="module")
def journals(log: BigLog, tmp_path_factory: pytest.TempPathFactory) -> Journals:
    return asyncio.run(write(log, tmp_path_factory.mktemp("journals")))


async def write(log: BigLog, folder: Path) -> Journals:
    async with log.store() as store:
        balances = await store.balances()
        for name, journal in (("book.journal", hledger_journal(store)), ("book.beancount", beancount_journal(store))):
            (folder / name).write_text("".join([piece async for piece in journal]), encoding="utf-8")
    return Journals(folder / "book.journal", folder / "book.beancount", balances)


def run(*command: str) -> tuple[int, str]:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=TIME_MAX_S,
        check=False,
        env=kept_environment() | {"LANG": "C.UTF-8"},
    )
    return done.returncode, done.stdout + done.stderr


def test_the_book_is_large_and_balances(journals: Journals) -> None:
    assert journals.hledger.read_text(encoding="utf-8").count("\n\n") > 10_000
    assert len(journals.balances) > 500
    for currency in UNIT:
        assert sum(row.balance for row in journals.balances if row.currency == currency) == 0


def test_hledger_accepts_the_book_and_its_balances_are_the_stores_to_the_unit(journals: Journals) -> None:
    status, said = run(
        "hledger",
        "balance",
        "--file",
        str(journals.hledger),
        "--flat",
        "--no-total",
        "--output-format=csv",
        "--layout=bare",
    )
    assert status == 0, said
    found = {
        (account_of_hledger(row["account"]), Currency(row["commodity"])): in_units(row["balance"], row["commodity"])
        for row in csv.DictReader(io.StringIO(said))
    }
    assert found == {purse(row): row.balance for row in journals.balances if row.balance}


def test_hledger_finds_a_unit_in_a_posting_and_in_a_balance(journals: Journals, tmp_path: Path) -> None:
    text = journals.hledger.read_text(encoding="utf-8")
    for changed, complaint in (
        (one_off_in_a_posting(text, "    "), "could not balance this transaction"),
        (one_off_in_a_balance(text), "balance assertion"),
    ):
        path = tmp_path / "changed.journal"
        path.write_text(changed, encoding="utf-8")
        status, said = run("hledger", "check", "--file", str(path))
        assert status != 0
        assert complaint in said


def test_bean_check_accepts_the_book_with_the_stores_balances_asserted(journals: Journals) -> None:
    status, said = run(*BEAN_CHECK, str(journals.beancount))
    assert (status, said) == (0, "")
    asserted = {
        (account_of_beancount(words[2]), words[-1]): words[3]
        for line in journals.beancount.read_text(encoding="utf-8").splitlines()
        if (words := line.split())[1:2] == ["balance"]
    }
    assert set(asserted) == {purse(row) for row in journals.balances}
    for row in journals.balances:
        below = sum(
            other.balance
            for other in journals.balances
            if other.currency == row.currency and f"{other.account}:".startswith(f"{row.account}:")
        )
        assert in_units(asserted[purse(row)], row.currency) == below


def test_bean_check_finds_a_unit_in_a_posting_and_in_a_balance(journals: Journals, tmp_path: Path) -> None:
    text = journals.beancount.read_text(encoding="utf-8")
    path = tmp_path / "changed.beancount"
    path.write_text(one_off_in_a_balance(one_off_in_a_posting(text, "  ")), encoding="utf-8")
    status, said = run(*BEAN_CHECK, str(path))
    assert status != 0
    assert "Transaction does not balance" in said
    assert "Balance failed for 'Expenses:Rewards'" in said


def one_off_in_a_posting(text: str, indent: str) -> str:
    """The last posting of the book has a unit more."""
    head, blank, end = text.rpartition("\n\n")
    start = head.rindex(f"\n{indent}") + 1
    return head[:start] + more(head[start:]) + blank + end


def one_off_in_a_balance(text: str) -> str:
    """The last account's balance has a unit more."""
    lines = text.splitlines(keepends=True)
    return "".join((*lines[:-1], more(lines[-1])))


def more(line: str) -> str:
    """One unit more in the last number with places."""
    words = line.split(" ")
    at = max(place for place, word in enumerate(words) if "." in word)
    number = Decimal(words[at])
    return " ".join((*words[:at], f"{number + Decimal(1).scaleb(int(number.as_tuple().exponent))}", *words[at + 1 :]))


def purse(row: AccountRow) -> tuple[Account, Currency]:
    return row.account, row.currency


def in_units(number: str, currency: str) -> int:
    units = Decimal(number) * UNIT[Currency(currency)]
    assert units == int(units)
    return int(units)
