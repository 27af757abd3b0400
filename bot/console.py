"""Commands of the program that look at things: ``config``, ``doctor`` and ``ledger``. They print, and give an exit status."""

import asyncio
import sys
from datetime import UTC, datetime

from bot.app import ledger_exists, ledger_file, open_ledger
from bot.config import Loaded, Problem, Settings
from bot.doctor import examine
from ledger.entry import hash_text
from ledger.store import Recorded

PAGE_ENTRIES = 1000
EXIT_OK = 0
EXIT_WRONG = 1
EXIT_USAGE = 2


def say(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")


def complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def show_problems(problems: tuple[Problem, ...]) -> int:
    for problem in problems:
        complain(f"{problem.what} {problem.remedy}")
    return EXIT_USAGE


def show_config(loaded: Loaded) -> int:
    """Every setting in force, with secrets masked, and where it came from."""
    width = max((len(item.setting.variable) for item in loaded.in_force), default=0)
    for item in loaded.in_force:
        say(f"{item.setting.variable:<{width}}  {item.shown or '-'}  ({item.source})")
    return show_problems(loaded.problems) if loaded.problems else EXIT_OK


async def doctor(settings: Settings) -> int:
    """What is on, off and wrong. 1 where something is wrong."""
    findings = await examine(settings)
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        say(f"{finding.state:<5}  {finding.subject:<{width}}  {finding.sentence}")
    return EXIT_WRONG if any(finding.state == "wrong" for finding in findings) else EXIT_OK


async def verify_ledger(settings: Settings) -> int:
    """0 verified, 1 not (with the code and the first bad entry), 2 usage, 3 incomplete."""
    from ledger.verify import main

    if not await _there(settings):
        return EXIT_USAGE
    async with ledger_file(settings) as file:
        return await asyncio.to_thread(main, [str(file)])


async def list_entries(settings: Settings, *, json: bool) -> int:
    """A line an entry, or JSON Lines: the canonical bytes as they were hashed, beside their hash."""
    if not await _there(settings):
        return EXIT_USAGE
    async with open_ledger(settings) as (store, _):
        after = -1
        while page := await store.entries(after, PAGE_ENTRIES):
            sys.stdout.writelines(_as_json(recorded) if json else _as_line(recorded) for recorded in page)
            after = page[-1].entry.seq
    return EXIT_OK


async def replay_ledger(settings: Settings) -> int:
    """Make the projections (open turns, conversations) anew from the entries."""
    if not await _there(settings):
        return EXIT_USAGE
    async with open_ledger(settings) as (store, _):
        count = await store.replay()
    say(f"The projections were made anew from {count:,} entries.")
    return EXIT_OK


async def _there(settings: Settings) -> bool:
    """Whether there is a ledger; where not, that is said."""
    there = await ledger_exists(settings)
    if not there:
        complain(f"There is no ledger at {settings.database_shown} yet: it begins with the first `carpool chat`.")
    return there


def _as_json(recorded: Recorded) -> str:
    return f'{{"entry":{recorded.leaf.decode()},"hash":"{hash_text(recorded.hash)}"}}\n'


def _as_line(recorded: Recorded) -> str:
    entry = recorded.entry
    when = datetime.fromtimestamp(entry.ts / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return f"{entry.seq:>8}  {when}  {entry.action.name:<17}  {entry.turn:<18}  {recorded.hash.hex()[:16]}\n"
