"""argv to a process."""

import argparse
import asyncio
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

from bot.config import Settings, colour_is_unwanted, load_here

EXIT_WRONG = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """The console command ``carpool``. Returns the exit status."""
    arguments = _parser().parse_args(argv)
    loaded = load_here()
    if arguments.command == "config" or loaded.settings is None:
        from bot.console import show_config, show_problems

        return show_config(loaded) if arguments.command == "config" else show_problems(loaded.problems)
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
            return _look(arguments, settings)


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
    return _complete(processes.pipe(settings))


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
    """Run to the end. What makes the ledger unusable is told in a sentence, with what to do."""
    from ledger.errors import StoreFailed, StoreUnusable

    try:
        return asyncio.run(work)
    except StoreUnusable as error:
        sys.stderr.write(f"{str(error).rstrip('.')}. {error.remedy}\n")
    except StoreFailed as error:
        sys.stderr.write(f"{_FAILURES[error.reason]} What was recorded is safe; start again after that.\n")
    return EXIT_WRONG


_FAILURES = {
    "disk_full": "The disk is full, so nothing can be recorded any more: free some space.",
    "input_output": "The ledger cannot be written any more: check the disk, and the log in CARPOOL_HOME.",
    "busy": "Another program holds the ledger's file: stop that one.",
    "closed": "The ledger was closed.",
    "unreachable": "The connection to the ledger's database was lost: see that its server runs.",
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
