"""``/billing statement``: what the asker's own answers were charged in a month, with what each one's receipt is asked for by."""

import asyncio
from dataclasses import replace

from adapters.messages import File
from bot.commands.base import Asking, Desk, Result
from bot.sentences import Sentences
from bot.statement import Month, Parties, Statement, issuer_of, statement_of
from bot.statement_forms import PDF_LINES_MAX, as_csv, as_pdf, as_text, exact_rc, state_sentence

LINES_SHOWN = 20
"""More than these stand in the files alone."""


async def statement(asking: Asking, desk: Desk, rest: str) -> Result:
    now_us = desk.clock()
    month = Month.read(rest) if rest else Month.of(now_us)
    if month is None:
        return Result(
            desk.say(
                "`/billing statement [MONTH]`: a month such as {0}; without one it is this month.", Month.of(now_us)
            )
        )
    if month.first_us > now_us:
        return Result(desk.say("{0} has not begun.", month))
    made = await statement_of(desk.store, asking.scope.workspace, asking.scope.actor, month, now_us)
    if not made.charges:
        return Result(desk.say("Nothing was charged for your answers in {0}.", month))
    address = asking.address
    parties = Parties(address.person, address.workspace, address.platform, await issuer_of(desk.store))
    made = replace(made, parties=parties)
    files = await asyncio.to_thread(_files, made, desk.say)
    return Result(_shown(made, desk.say, with_page=len(files) > 1), files=files)


def _files(made: Statement, say: Sentences) -> tuple[File, ...]:
    name = f"carpool-{made.month}"
    table, page = as_csv(made), as_pdf(made, say)
    files = (File(f"{name}.csv", "text/csv", table),)
    return files if page is None else (*files, File(f"{name}.pdf", "application/pdf", page))


def _shown(made: Statement, say: Sentences, *, with_page: bool) -> str:
    if len(made.charges) <= LINES_SHOWN:
        return f"```\n{as_text(made, say).strip()}\n```"
    whole = say("**{0} RC** for {1:,} charges in {2}.", exact_rc(made.total), len(made.charges), made.month)
    where = say("The lines stand in both files.")
    if not with_page:
        where = say("The lines stand in the table; a page holds {0:,} at the most.", PDF_LINES_MAX)
    how = say("Each has the reference that `/receipt` takes; `carpool billing statement` writes them too.")
    return " ".join((whole, state_sentence(made, say), where, how))
