"""A person's month: which charges it has, to the unit, and what each form of it looks like."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from bot.sentences import Sentences
from bot.statement import LINES_MAX, PAGE_ENTRIES, Charge, Month, Parties, Statement, issuer_of, statement_of
from bot.statement_forms import COLUMNS, PDF_LINES_MAX, as_csv, as_email, as_html, as_pdf, as_text, exact_rc
from integrations.storage.sqlite import SqliteStore
from ledger.actions import LedgerCreated
from ledger.credit_actions import CreditReserved, CreditReversed, CreditSettled, CreditTopup
from ledger.entry import HOUSE, Draft, Scope
from ledger.money import Money
from ledger.pseudonyms import ActorId, ConversationId, TurnId, WorkspaceId
from ledger.roadchain import RoadChain
from tests.bracketed import BRACKETED, unsaid, unsaid_of_page

W = WorkspaceId("w-1")
ANNA = Scope(W, ActorId("a-anna"), ConversationId("c-1"), TurnId("t-1"))
BERT = replace(ANNA, actor=ActorId("a-bert"), turn=TurnId("t-2"))
NOVEMBER, DECEMBER = Month(2026, 11), Month(2026, 12)


def pair(scope: Scope, hold: str, price: int, model: str = "gpt-5-mini") -> tuple[Draft, Draft]:
    return (
        Draft(CreditReserved(hold, 5_000, 900, "openai", model), scope, f"reserve/{hold}"),
        Draft(CreditSettled(hold, price, "openai", 600), scope, f"settle/{hold}"),
    )


async def at(store: SqliteStore, moment_us: int, *drafts: Draft) -> int:
    """Record them at that moment. Returns the number of the last entry."""
    async with RoadChain(store, lambda: moment_us) as roadchain:
        return [await roadchain.append(draft) for draft in drafts][-1][0].seq


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(tmp_path / "ledger.db")
    await at(opened, NOVEMBER.first_us - 1, Draft(CreditTopup("stripe", 10**6), ANNA, "topup"))
    yield opened
    await opened.aclose()


async def november(store: SqliteStore, scope: Scope = ANNA) -> Statement:
    return await statement_of(store, W, scope.actor, NOVEMBER, DECEMBER.first_us + 5)


async def test_it_has_each_charge_of_the_month_and_none_of_another(store: SqliteStore) -> None:
    first, last = NOVEMBER.first_us, DECEMBER.first_us - 1
    await at(store, first - 1, *pair(ANNA, "before", 11))
    await at(store, first, *pair(ANNA, "first", 13), *pair(BERT, "hers", 17))
    await at(store, first + 5, *pair(replace(ANNA, workspace=W), "free", 0))
    await at(store, last, *pair(ANNA, "last", 19, "gpt-5"))
    await at(store, last + 1, *pair(ANNA, "after", 23))
    made = await november(store)
    assert [(charge.amount, charge.model, charge.at_us) for charge in made.charges] == [
        (13, "openai/gpt-5-mini", first),
        (19, "openai/gpt-5", last),
    ]
    assert (made.total, made.whole) == (32, True)
    assert [charge.amount for charge in (await november(store, BERT)).charges] == [17]
    assert (await statement_of(store, WorkspaceId("w-2"), ANNA.actor, NOVEMBER, last)).charges == ()


async def test_what_was_given_back_is_a_line_of_its_own(store: SqliteStore) -> None:
    seq = await at(store, NOVEMBER.first_us, *pair(ANNA, "h", 13))
    await at(store, NOVEMBER.first_us + 1, Draft(CreditReversed(seq, "h"), ANNA, f"reversal/{seq}"))
    made = await november(store)
    assert [charge.amount for charge in made.charges] == [13, -13]
    assert made.total == 0
    assert {charge.model for charge in made.charges} == {"openai/gpt-5-mini"}


async def test_a_call_of_which_a_part_was_waived_counts_as_what_was_taken(store: SqliteStore) -> None:
    await at(store, NOVEMBER.first_us, *pair(ANNA, "dear", 10**9))
    (charge,) = (await november(store)).charges
    assert charge.amount == 10**6


async def test_many_charges_are_read_page_by_page(store: SqliteStore) -> None:
    count = PAGE_ENTRIES // 2 + 3
    await at(store, NOVEMBER.first_us, *(draft for number in range(count) for draft in pair(ANNA, f"h{number}", 1)))
    made = await november(store)
    assert (len(made.charges), made.total) == (count, count)
    assert len({charge.entry for charge in made.charges}) == count


@pytest.mark.parametrize("text", ["2026-00", "2026-13", "26-11", "2026-1", "1999-11", "2026-11 ", "٢٠٢٦-١١", "x", "-1"])
def test_what_is_no_month_is_none(text: str) -> None:
    assert Month.read(text) is None


def test_the_month_after_december_is_january() -> None:
    assert str(DECEMBER.next) == "2027-01"


def made_of(*charges: tuple[int, str], made_us: int = DECEMBER.first_us) -> Statement:
    return Statement(
        NOVEMBER,
        made_us,
        tuple(
            Charge(NOVEMBER.first_us + number, 7 + number, b"\x01" * 32, TurnId(f"t-{number}"), model, Money(amount))
            for number, (amount, model) in enumerate(charges)
        ),
    )


def test_the_table_is_exact_and_its_lines_add_up() -> None:
    made = made_of((1_234_567_890, "openai/gpt-5"), (-1, 'a/"b",c'))
    rows = list(csv.DictReader(io.StringIO(as_csv(made).decode())))
    assert tuple(rows[0]) == COLUMNS
    assert [row["rc"] for row in rows] == ["1234.567890", "-0.000001"]
    assert sum(int(row["urc"]) for row in rows) == made.total
    assert (rows[0]["time"], rows[1]["model"]) == ("2026-11-01T00:00:00+00:00", 'a/"b",c')
    assert (rows[0]["reference"], rows[0]["entry"], rows[0]["hash"]) == ("t-0", "7", "01" * 32)


def test_the_text_says_the_month_each_line_and_the_total() -> None:
    text = as_text(made_of((1_500_000, "openai/gpt-5"), (250_000, "x/y")))
    assert text.startswith("CarPool statement, 2026-11\nThe whole month, by UTC.\n")
    assert "2026-11-01 00:00  1.500000  openai/gpt-5  t-0\n2026-11-01 00:00  0.250000  x/y           t-1\n" in text
    assert "1.750000 RC in all, for 2 charges." in text


def test_a_month_that_is_not_over_says_until_when() -> None:
    assert "Until 2026-11-01 00:10 (UTC): the month is not over." in as_text(
        made_of(made_us=NOVEMBER.first_us + 600_000_000)
    )


def test_a_statement_is_said_from_the_table_in_each_of_its_forms() -> None:
    for made in (made_of((1, "x/y")), made_of((1, "x/y"), (2, "x/y"), made_us=NOVEMBER.first_us + 1)):
        text, page = as_text(made, BRACKETED), as_html(made, BRACKETED)
        lines = [line for line in text.splitlines() if line and "x/y" not in line]
        assert [line for line in lines if unsaid(line)] == []
        assert unsaid_of_page(page.replace("x/y", "").replace("t-0", "")) == ""
        assert "⟦CarPool statement, 2026-11⟧" in text
        assert "⟦CarPool statement, 2026-11⟧" in page


def test_a_sentence_is_no_markup_on_a_page() -> None:
    table = Sentences("xx", {"Model": "<b>$total & ⟦"})
    assert ">&lt;b&gt;$total &amp; ⟦<" in as_html(made_of((1, "x/y")), table)


def test_a_page_without_letters_for_a_language_is_in_english() -> None:
    made = made_of((1, "x/y"))
    english = as_pdf(made)
    assert as_pdf(made, Sentences("uk", {"Model": "Модель"})) == english
    assert as_pdf(made, Sentences("de", {"Model": "Modell für Übungen"})) not in (None, english)


def test_a_models_name_is_no_markup_and_no_template() -> None:
    page = as_html(made_of((1, "<script>$total</script>")))
    assert "<script>" not in page
    assert "&lt;script&gt;$total&lt;/script&gt;" in page


def test_the_page_has_its_lines_and_one_that_is_too_long_is_none() -> None:
    page = as_pdf(made_of((1_500_000, "openai/gpt-5"), (1, "модель")))
    assert page is not None
    assert page.startswith(b"%PDF-")
    assert as_pdf(made_of(*[(1, "m")] * (PDF_LINES_MAX + 1))) is None


def test_an_email_has_the_text_the_page_and_both_files() -> None:
    made = made_of((1_500_000, "openai/gpt-5"))
    read = message_from_bytes(
        as_email(made, "CarPool <billing@example.org>", "anna@example.org").as_bytes(), policy=policy.default
    )
    kinds = [part.get_content_type() for part in read.walk()]
    assert kinds == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/csv",
        "application/pdf",
    ]
    assert (read["To"], read["Subject"]) == ("anna@example.org", "CarPool statement, 2026-11")
    assert [part.get_filename() for part in read.iter_attachments()] == ["carpool-2026-11.csv", "carpool-2026-11.pdf"]


def test_an_address_cannot_add_a_head_to_the_email() -> None:
    with pytest.raises(ValueError, match="linefeed"):
        as_email(made_of((1, "m")), "a@example.org", "b@example.org\nBcc: c@example.org")


def test_exact_amounts_are_never_rounded() -> None:
    assert [exact_rc(Money(amount)) for amount in (0, 1, -10, 10**6, 123_456_789_012)] == [
        "0.000000",
        "0.000001",
        "-0.000010",
        "1.000000",
        "123,456.789012",
    ]
    assert LINES_MAX > PDF_LINES_MAX


def test_each_form_that_is_read_names_person_workspace_and_issuer_as_text_and_not_as_markup() -> None:
    parties = Parties("<b>U1", "T1", "slack", "carpool.example.org")
    made = replace(made_of((1, "openai/gpt-5")), parties=parties)
    named = "For <b>U1, in the workspace T1 of Slack. Issued by carpool.example.org."
    assert as_text(made).splitlines()[1] == named
    assert f"<p>{named.replace('<b>', '&lt;b&gt;')}</p>" in as_html(made)
    mail = as_email(made, "billing@example.org", "anna@example.org")
    assert named in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]  # it has one


async def test_the_issuer_is_what_the_ledger_is_called(tmp_path: Path) -> None:
    opened = await SqliteStore.open(tmp_path / "other.db")
    try:
        assert await issuer_of(opened) == "CarPool"
        await at(opened, 1, Draft(LedgerCreated("carpool.example.org", "n", "k"), HOUSE, "ledger.created"))
        assert await issuer_of(opened) == "carpool.example.org"
    finally:
        await opened.aclose()
