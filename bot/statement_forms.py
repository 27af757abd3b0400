"""A statement as text, as a table (CSV), as a page (HTML, PDF) and as an e-mail. What they look like stands in ``templates/``."""

import csv
import html
import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from importlib import import_module, resources
from string import Template
from typing import Any

from bot.sentences import ENGLISH, Sentences
from bot.statement import Charge, Statement
from ledger.money import URC_PER_RC, Money

PDF_LINES_MAX = 1_000
"""A page takes two milliseconds for each line: what is longer comes as a table alone."""
COLUMNS = ("time", "model", "rc", "urc", "reference", "entry", "hash", "later_urc")


def exact_rc(amount: Money) -> str:
    """All of it, where ``rc_text`` rounds; always with six decimals, so that a column stands in line.

    >>> exact_rc(Money(4_800_000)), exact_rc(Money(-1)), exact_rc(Money(0))
    ('4.800000', '-0.000001', '0.000000')
    """
    whole, part = divmod(abs(amount), URC_PER_RC)
    return f"{'-' if amount < 0 else ''}{whole:,}.{part:06d}"


def as_text(statement: Statement, say: Sentences = ENGLISH) -> str:
    width = max((len(exact_rc(charge.amount)) for charge in statement.charges), default=0)
    wide = max((len(charge.model) for charge in statement.charges), default=0)
    line = _template("statement_line.txt")
    lines = "".join(_line(charge, line, lambda text: text, width, wide) for charge in statement.charges)
    count, total = len(statement.charges), exact_rc(statement.total)
    return _template("statement.txt").substitute(
        title=_title(statement, say),
        state="\n".join(filter(None, (_parties(statement, say), state_sentence(statement, say)))),
        lines=lines,
        total=say("{0} RC in all, for one charge.", total)
        if count == 1
        else say("{0} RC in all, for {1:,} charges.", total, count),
        how=say("Each line has a receipt that anybody can verify: `/receipt REFERENCE` shows it."),
    )


def as_html(statement: Statement, say: Sentences = ENGLISH) -> str:
    line = _template("statement_line.html")
    lines = "".join(_line(charge, line, html.escape) for charge in statement.charges)
    words = {name: html.escape(word, quote=False) for name, word in _words(statement, say).items()}
    return _template("statement.html").substitute(words, lines=lines, total=exact_rc(statement.total))


def as_csv(statement: Statement) -> bytes:
    """UTF-8, with a head, and lines that end as RFC 4180 has it. ``rc`` is exact; its digits are not grouped."""
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for charge in statement.charges:
        amount = exact_rc(charge.amount).replace(",", "")
        table.writerow(
            (
                _utc(charge.at_us).isoformat(timespec="seconds"),
                charge.model,
                amount,
                charge.amount,
                charge.turn,
                charge.entry,
                charge.hash.hex(),
                charge.later,
            )
        )
    return text.getvalue().encode()


def as_pdf(statement: Statement, say: Sentences = ENGLISH) -> bytes | None:
    """None for one of more than ``PDF_LINES_MAX`` lines. In English where a PDF has no letters for the language. It takes up
    to some seconds of a processor, so run it in a thread."""
    if len(statement.charges) > PDF_LINES_MAX:
        return None
    page: Any = import_module("fpdf").FPDF(format="A4")  # its import takes a second
    say = say if all(map(_is_latin, _words(statement, say).values())) else ENGLISH
    page.set_title(_title(statement, say))
    page.set_creation_date(_utc(statement.made_us))
    page.add_page()
    page.set_font("helvetica", size=9)
    # The fonts that every reader of PDF has hold Latin letters alone; what else a model may be called is shown as a mark.
    page.write_html(as_html(statement, say).encode("latin-1", "replace").decode("latin-1"))
    return bytes(page.output())


def as_email(statement: Statement, sender: str, to: str) -> EmailMessage:
    """To be sent as it is: plain text, the same as a page, and both files. Raises ``ValueError`` for what is no address."""
    message = EmailMessage()
    message["Subject"] = _title(statement, ENGLISH)
    message["From"], message["To"] = sender, to
    message["Date"] = format_datetime(_utc(statement.made_us))
    message.set_content(as_text(statement))
    message.add_alternative(as_html(statement), subtype="html")
    name = f"carpool-{statement.month}"
    message.add_attachment(as_csv(statement), maintype="text", subtype="csv", filename=f"{name}.csv")
    if (page := as_pdf(statement)) is not None:
        message.add_attachment(page, maintype="application", subtype="pdf", filename=f"{name}.pdf")
    return message


def state_sentence(statement: Statement, say: Sentences) -> str:
    """How much of the month it has, and what of it stands on no credit."""
    until = _until(statement, say)
    if not statement.later:
        return until
    later = say("{0} RC of it is beyond the credit, on the plan's next invoice.", exact_rc(statement.later))
    return f"{until} {later}"


def _parties(statement: Statement, say: Sentences) -> str:
    parties = statement.parties
    if parties is None:
        return ""
    of = (parties.person, parties.workspace, parties.platform.capitalize(), parties.issuer)
    return say("For {0}, in the workspace {1} of {2}. Issued by {3}.", *of)


def _until(statement: Statement, say: Sentences) -> str:
    if not statement.whole:
        return say("The first {0:,} answers of the month: there are more.", len(statement.charges))
    if statement.made_us < statement.month.next.first_us:
        return say("Until {0:%Y-%m-%d %H:%M} (UTC): the month is not over.", _utc(statement.made_us))
    return say("The whole month, by UTC.")


def _title(statement: Statement, say: Sentences) -> str:
    return say("CarPool statement, {0}", statement.month)


def _words(statement: Statement, say: Sentences) -> Mapping[str, str]:
    """What stands on a page around its lines."""
    count = len(statement.charges)
    return {
        "title": _title(statement, say),
        "parties": _parties(statement, say),
        "state": state_sentence(statement, say),
        "time": say("Time (UTC)"),
        "model": say("Model"),
        "amount": say("RC"),
        "reference": say("Reference"),
        "entry": say("Entry"),
        "count": say("In all, for one charge") if count == 1 else say("In all, for {0:,} charges", count),
        "how": say(
            "1 RC is a US cent. Each line has a receipt that anybody can verify with the public key of the ledger: "
            "/receipt REFERENCE in chat, or carpool ledger prove ENTRY."
        ),
    }


def _is_latin(text: str) -> bool:
    return text == text.encode("latin-1", "replace").decode("latin-1")


def _line(charge: Charge, template: Template, safe: Callable[[str], str], width: int = 0, wide: int = 0) -> str:
    return template.substitute(
        time=f"{_utc(charge.at_us):%Y-%m-%d %H:%M}",
        amount=f"{exact_rc(charge.amount):>{width}}",
        model=safe(f"{charge.model:<{wide}}"),
        reference=safe(charge.turn),
        entry=charge.entry,
    )


def _template(name: str) -> Template:
    return Template((resources.files("bot") / "templates" / name).read_text(encoding="utf-8"))


def _utc(moment_us: int) -> datetime:
    return datetime.fromtimestamp(moment_us // 1_000_000, UTC)
