"""argv to a process."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from io import TextIOWrapper
from typing import Any

from bot.config import Settings, colour_is_unwanted, load_here

EXIT_WRONG = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """The console command ``carpool``. Returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a letter that it does not know is no reason to lose an answer
    arguments = _parser().parse_args(argv)
    loaded = load_here()
    if arguments.command == "config" or loaded.settings is None:
        from bot.console import show_config, show_problems

        if arguments.command != "config":
            return show_problems(loaded.problems)
        return _written(lambda: show_config(loaded))
    try:
        return _run(arguments, loaded.settings)
    except BrokenPipeError:  # whoever read the output has seen enough
        sys.stderr.close()
        return EXIT_WRONG
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    match arguments.command:
        case "chat" | "web":
            return _serve(arguments, settings)
        case _:
            return _written(lambda: _look(arguments, settings))


def _written(show: Callable[[], int]) -> int:
    """The exit status of what prints, once all of it is written."""
    try:
        status = show()
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        from bot.platforms.terminal_screen import drop_output

        drop_output()
        sys.stderr.write(f"Standard output cannot be written: {error.strerror}.\n")
        return EXIT_USAGE
    return status


def _serve(arguments: argparse.Namespace, settings: Settings) -> int:
    from bot import processes
    from bot.logs import start_logging

    try:
        start_logging(settings.logs, settings.log_level, to_stderr=arguments.command == "web")
    except OSError as error:
        sys.stderr.write(f"{settings.logs} cannot be made ({error.strerror}). Set CARPOOL_HOME to a folder of yours.\n")
        return EXIT_WRONG
    if arguments.command == "web":
        return _complete(processes.web(settings, socket=arguments.socket))
    if processes.both_are_terminals():
        return _complete(processes.chat(settings, new=arguments.new, colour=not colour_is_unwanted()))
    # Before the event loop takes interrupts to itself: one ends the wait for a question.
    question = processes.question_of_pipe(settings)
    return EXIT_USAGE if question is None else _complete(processes.pipe(settings, question))


def _look(arguments: argparse.Namespace, settings: Settings) -> int:
    from bot import console

    if arguments.command == "doctor":
        return _complete(console.doctor(settings))
    match arguments.ledger_command:
        case "verify":
            return _complete(console.verify_ledger(settings))
        case "entries":
            return _complete(console.list_entries(settings, json=arguments.json))
        case _:
            return _complete(console.replay_ledger(settings))


def _complete(work: Coroutine[Any, Any, int]) -> int:
    """Run to the end. What makes the ledger or a model unusable is told in a sentence, with what to do."""
    from adapters.errors import NotConfigured
    from ledger.errors import StoreFailed, StoreUnusable

    try:
        return asyncio.run(work)
    except NotConfigured as error:
        sys.stderr.write(f"{error.remedy}\n")
        return EXIT_USAGE
    except StoreUnusable as error:
        sys.stderr.write(f"{str(error).rstrip('.')}. {error.remedy}\n")
    except StoreFailed as error:
        sys.stderr.write(f"{_FAILURES[error.reason]}\n")
    return EXIT_WRONG


_FAILURES = {
    "disk_full": "The disk is full, so nothing can be recorded any more: free some space. "
    "What was recorded is safe; start again after that.",
    # Nothing is promised here: the file itself may be damaged.
    "input_output": "The ledger cannot be read or written any more: check the disk and the log in CARPOOL_HOME. "
    "`carpool ledger verify` says whether what was recorded is whole.",
    "busy": "Another program holds the ledger's file: stop that one. What was recorded is safe; start again after that.",
    "closed": "The ledger was closed. What was recorded is safe; start again.",
    "unreachable": "The connection to the ledger's database was lost: see that its server runs. "
    "What was recorded is safe; start again after that.",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="carpool",
        description="A bot for Slack, Discord and the terminal that routes each message to the model that serves it best.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    chat = commands.add_parser("chat", help="talk here; or: echo question | carpool chat")
    chat.add_argument("--new", action="store_true", help="begin a conversation that knows nothing of earlier ones")
    web = commands.add_parser("web", help="answer in Slack")
    web.add_argument("--socket", action="store_true", help="over Socket Mode, without a public address")
    commands.add_parser("config", help="print the settings in force and where each came from")
    commands.add_parser("doctor", help="say what is on, off and wrong")
    ledger = commands.add_parser("ledger", help="look at RoadChain")
    of_ledger = ledger.add_subparsers(dest="ledger_command", required=True, metavar="COMMAND")
    of_ledger.add_parser("verify", help="check every entry: 0 verified, 1 not, 2 usage, 3 incomplete")
    entries = of_ledger.add_parser("entries", help="list the entries, a line each")
    entries.add_argument("--json", action="store_true", help="as JSON Lines")
    of_ledger.add_parser("replay", help="make the projections anew from the entries")
    return parser


if __name__ == "__main__":
    sys.exit(main())
