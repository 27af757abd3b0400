"""``carpool billing statement``: a person's month for the operator, as text, a table, a page, or an e-mail to be sent."""

import asyncio
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from bot.console import EXIT_OK, EXIT_USAGE, EXIT_WRONG, complain
from bot.opening import ledger_exists, open_ledger
from bot.operating import UNKNOWN, is_known
from bot.settings import Settings
from bot.statement import Month, Parties, Statement, issuer_of, statement_of
from bot.statement_forms import PDF_LINES_MAX, as_csv, as_email, as_pdf, as_text
from ledger.pseudonyms import ConversationId, Pseudonyms
from ledger.roadchain import clock_us

ANYWHERE, NEWEST = ConversationId(""), 2**62
Form = Literal["text", "csv", "pdf", "email"]


@dataclass(frozen=True, slots=True)
class StatementWanted:
    """``month`` as typed, empty for this one. ``out`` None: to the standard output."""

    platform: str
    workspace: str
    person: str
    month: str
    form: Form
    sender: str
    to: str
    out: Path | None


async def print_statement(settings: Settings, wanted: StatementWanted) -> int:
    now_us = clock_us()
    month = Month.read(wanted.month) if wanted.month else Month.of(now_us)
    if month is None:
        complain(f"{wanted.month} is no month: write it as {Month.of(now_us)}.")
        return EXIT_USAGE
    if wanted.form == "email" and not (wanted.sender and wanted.to):
        complain("An e-mail needs --from and --to.")
        return EXIT_USAGE
    if not await ledger_exists(settings):
        complain("There is no ledger yet.")
        return EXIT_USAGE
    async with open_ledger(settings) as (store, keys):
        names = Pseudonyms(keys.pseudonyms)
        workspace = names.workspace(wanted.platform, wanted.workspace)
        actor = names.actor(wanted.platform, wanted.workspace, wanted.person)
        if not await is_known(store, names, wanted.platform, wanted.workspace):
            complain(UNKNOWN.format(wanted.workspace, wanted.platform))
            return EXIT_USAGE
        made = await statement_of(store, workspace, actor, month, now_us)
        if not made.charges and await store.last_turn(ANYWHERE, actor, NEWEST) is None:
            complain(f"Nobody has asked anything there as {wanted.person}: is the id written as the platform does?")
            return EXIT_USAGE
        parties = Parties(wanted.person, wanted.workspace, wanted.platform, await issuer_of(store))
        made = replace(made, parties=parties)
    try:
        content = await asyncio.to_thread(_formed, made, wanted)
    except ValueError:
        complain("An address of an e-mail is one line, such as billing@example.org.")
        return EXIT_USAGE
    if content is None:
        complain(
            f"A page holds {PDF_LINES_MAX:,} lines at the most, and this has {len(made.charges):,}: take --as csv."
        )
        return EXIT_USAGE
    return _write(content, wanted.out)


def _formed(made: Statement, wanted: StatementWanted) -> bytes | None:
    match wanted.form:
        case "text":
            return as_text(made).encode()
        case "csv":
            return as_csv(made)
        case "pdf":
            return as_pdf(made)
        case "email":
            return as_email(made, wanted.sender, wanted.to).as_bytes()


def _write(content: bytes, out: Path | None) -> int:
    if out is None:
        sys.stdout.buffer.write(content)
        return EXIT_OK
    try:
        out.write_bytes(content)
    except OSError as error:
        complain(f"{out} cannot be written: {error.strerror}.")
        return EXIT_WRONG
    return EXIT_OK
