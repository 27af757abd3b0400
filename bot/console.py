"""Commands of the program that look at it: ``config`` and ``doctor``. They print, and give an exit status."""

import sys

from bot.config import Loaded, Problem
from bot.doctor import examine
from bot.settings import Settings

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
