"""argv to a process."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from bot.config import colour_is_unwanted, load_here
from bot.settings import Settings

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
        case "chat" | "web" | "discord":
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
        start_logging(settings.logs, settings.log_level, to_stderr=arguments.command != "chat")
    except OSError as error:
        sys.stderr.write(f"{settings.logs} cannot be made ({error.strerror}). Set CARPOOL_HOME to a folder of yours.\n")
        return EXIT_WRONG
    if arguments.command == "web":
        return _complete(processes.web(settings, socket=arguments.socket))
    if arguments.command == "discord":
        return _complete(processes.discord(settings))
    if processes.both_are_terminals():
        return _complete(processes.chat(settings, new=arguments.new, colour=not colour_is_unwanted()))
    # Before the event loop takes interrupts to itself: one ends the wait for a question.
    question = processes.question_of_pipe(settings)
    return EXIT_USAGE if question is None else _complete(processes.pipe(settings, question))


def _look(arguments: argparse.Namespace, settings: Settings) -> int:
    if arguments.command == "doctor":
        from bot import console

        return _complete(console.doctor(settings))
    if arguments.command == "models":
        from bot import models_console

        return _complete(models_console.list_models(settings))
    if arguments.command == "keys":
        return _complete(_of_keys(arguments, settings))
    if arguments.command == "billing":
        return _complete(_of_billing(arguments, settings))
    if arguments.command == "slack":
        from bot import slack_console

        return _complete(slack_console.print_manifest(settings, http=arguments.http, rotation=arguments.rotation))
    return _complete(_of_ledger(arguments, settings))


def _of_ledger(arguments: argparse.Namespace, settings: Settings) -> Coroutine[Any, Any, int]:
    from bot import ledger_console as console

    match arguments.ledger_command:
        case "verify":
            return console.verify_ledger(settings, _for_verifier(arguments))
        case "entries":
            return console.list_entries(settings, json=arguments.json)
        case "replay":
            return console.replay_ledger(settings)
        case "reopen":
            return console.reopen_ledger(settings)
        case "balances":
            return console.show_balances(settings, replay=arguments.replay)
        case "export":
            return console.export_ledger(settings, Path(arguments.folder))
        case "receipt":
            return console.print_receipt(settings, arguments.turn)
        case "prove":
            return console.print_proof(settings, arguments.seq)
        case "journal":
            return console.print_journal(settings, arguments.form)
        case "erase":
            return console.erase_texts(
                settings, arguments.kind, arguments.platform, arguments.workspace, arguments.names
            )
        case "vkey":
            return console.print_vkey(settings)
        case "rotate-key":
            return console.rotate_key(settings)
        case _:
            return console.retire_key(settings)


def _of_keys(arguments: argparse.Namespace, settings: Settings) -> Coroutine[Any, Any, int]:
    from bot import keys_console as console

    match arguments.keys_command:
        case "list":
            return console.list_keys(settings)
        case "add":
            # Before the event loop takes interrupts to itself.
            given = console.ask(arguments.provider)
            return console.add_key(settings, arguments.provider, arguments.of, given, arguments.unchecked)
        case "remove":
            return console.remove_key(settings, arguments.provider, arguments.of)
        case _:
            return console.rotate_vault(settings)


def _of_billing(arguments: argparse.Namespace, settings: Settings) -> Coroutine[Any, Any, int]:
    from bot import billing_console as console

    match arguments.billing_command:
        case "reconcile":
            return console.reconcile_payments(settings, arguments.days)
        case "grant" | "reward" | "writeoff" | "writeoff-usage" | "resolve" | "reverse":
            return _adjust(arguments, settings)
        case "invoice":
            where = (arguments.platform, arguments.workspace)
            return console.ask_by_hand(settings, *where, arguments.amount, new=arguments.new)
        case "refund":
            where = (arguments.platform, arguments.workspace)
            whose = (arguments.payment, arguments.amount)
            said = (" ".join(arguments.reason), arguments.reference, arguments.operator)
            return console.refund(settings, *where, *whose, *said)
        case "requests" | "approve" | "decline":
            return _decide(arguments, settings)
        case "provider-bill" | "treasury" | "operations":
            return _of_house(arguments, settings)
        case "suspense":
            from bot.suspense_console import list_suspense

            return list_suspense(settings)
        case "statement":
            return _statement(arguments, settings)
        case _:
            return console.paid_by_hand(settings, arguments.reference, arguments.operator)


def _decide(arguments: argparse.Namespace, settings: Settings) -> Coroutine[Any, Any, int]:
    from bot import deciding_console as console

    if arguments.billing_command == "requests":
        return console.requests(settings)
    decide = console.approve if arguments.billing_command == "approve" else console.decline_request
    return decide(settings, arguments.reference, " ".join(arguments.reason), arguments.operator)


def _of_house(arguments: argparse.Namespace, settings: Settings) -> Coroutine[Any, Any, int]:
    from bot import house_console as console

    said = (arguments.amount, " ".join(arguments.reason), arguments.reference, arguments.operator)
    match arguments.billing_command:
        case "provider-bill":
            until, preview = arguments.until, arguments.preview
            bill = console.Bill(arguments.provider, *said, until, preview=preview)
            return console.provider_bill(settings, bill)
        case "treasury":
            return console.treasury(settings, arguments.direction, *said)
        case _:
            return console.operations(settings, *said)


def _adjust(arguments: argparse.Namespace, settings: Settings) -> Coroutine[Any, Any, int]:
    from bot import adjusting_console as console

    reason, operator = " ".join(arguments.reason), arguments.operator
    match arguments.billing_command:
        case "grant" | "reward" as kind:
            where, amount = (arguments.platform, arguments.workspace), arguments.amount
            days, new = arguments.days, arguments.new
            return console.give(settings, kind, *where, amount, reason, days, new=new, operator=operator)
        case "writeoff":
            where = (arguments.platform, arguments.workspace)
            return console.write_off(settings, *where, arguments.amount, reason, operator)
        case "writeoff-usage":
            what = (arguments.workspace, arguments.amount, reason, arguments.reference)
            return console.write_off_usage(settings, *what, operator)
        case "resolve":
            where, new = (arguments.platform, arguments.workspace), arguments.new
            return console.resolve(settings, *where, arguments.payment, reason, new=new, operator=operator)
        case _:
            return console.reverse(settings, arguments.entry, reason, operator)


def _statement(arguments: argparse.Namespace, settings: Settings) -> Coroutine[Any, Any, int]:
    from bot.statement_console import StatementWanted, print_statement

    wanted = StatementWanted(
        arguments.platform,
        arguments.workspace,
        arguments.person,
        arguments.month,
        arguments.form,
        arguments.sender,
        arguments.to,
        arguments.out,
    )
    return print_statement(settings, wanted)


def _for_verifier(arguments: argparse.Namespace) -> list[str]:
    """Its own arguments: it is a program of its own."""
    given = {"--db": arguments.db, "--dir": arguments.dir, "--receipt": arguments.receipt}
    targets = [word for name, value in given.items() if value for word in (name, value)]
    return [*targets, *(word for key in arguments.key for word in ("--key", key))]


def _complete(work: Coroutine[Any, Any, int]) -> int:
    """Run to the end. What makes the ledger or a model unusable is told in a sentence, with what to do."""
    from adapters.errors import NotConfigured
    from ledger.errors import LedgerError, StoreFailed, StoreUnusable

    try:
        return asyncio.run(work)
    except NotConfigured as error:
        sys.stderr.write(f"{error.remedy}\n")
        return EXIT_USAGE
    except StoreUnusable as error:
        sys.stderr.write(f"{str(error).rstrip('.')}. {error.remedy}\n")
    except LedgerError as error:
        sys.stderr.write(f"{error}\n")
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
    "changed": "The ledger was changed by something else than CarPool (RC011), so nothing more is recorded. "
    "`carpool ledger verify` names the first entry that is wrong: restore a copy that is whole, or put right what was "
    "changed and run `carpool ledger reopen`. Start again after that.",
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
    commands.add_parser("discord", help="answer in Discord")
    commands.add_parser("config", help="print the settings in force and where each came from")
    commands.add_parser("models", help="list the models that are known: prices, and what is missing to use them")
    commands.add_parser("doctor", help="say what is on, off and wrong")
    _add_slack(commands.add_parser("slack", help="what is needed to set up the Slack app"))
    _add_keys(commands.add_parser("keys", help="keys for providers of models, sealed in the ledger's store"))
    _add_billing(commands.add_parser("billing", help="payments: compare, grant, and take what is paid by hand"))
    ledger = commands.add_parser("ledger", help="look at RoadChain")
    of_ledger = ledger.add_subparsers(dest="ledger_command", required=True, metavar="COMMAND")
    _add_verify(of_ledger.add_parser("verify", help="check every entry: 0 verified, 1 not, 2 usage, 3 incomplete"))
    entries = of_ledger.add_parser("entries", help="list the entries, a line each")
    entries.add_argument("--json", action="store_true", help="as JSON Lines")
    of_ledger.add_parser("replay", help="make the projections anew from the entries")
    of_ledger.add_parser("reopen", help="record again, after the ledger was found changed: where it is whole now")
    balances = of_ledger.add_parser("balances", help="list the accounts with their balances")
    balances.add_argument("--replay", action="store_true", help="add them up from the entries, and compare")
    export = of_ledger.add_parser(
        "export", help="write the log as C2SP tiles, with its public key, for others to verify"
    )
    export.add_argument("folder", metavar="FOLDER")
    receipt = of_ledger.add_parser("receipt", help="print the receipt of a turn's answer, to be verified offline")
    receipt.add_argument("turn", metavar="TURN")
    prove = of_ledger.add_parser("prove", help="print the receipt of one entry")
    prove.add_argument("seq", metavar="SEQ", type=int)
    journal = of_ledger.add_parser("journal", help="print the book for hledger or beancount")
    journal.add_argument("form", choices=["hledger", "beancount"])
    _add_erase(of_ledger.add_parser("erase", help="erase texts; what is recorded of them stays, and still verifies"))
    of_ledger.add_parser("vkey", help="print the public key of the ledger")
    of_ledger.add_parser("rotate-key", help="put a new signing key into use, beside the one before")
    of_ledger.add_parser("retire-key", help="let the key before the one in use sign no more")
    return parser


def _add_keys(keys: argparse.ArgumentParser) -> None:
    from bot.commands.keys import PROVIDERS

    of_keys = keys.add_subparsers(dest="keys_command", required=True, metavar="COMMAND")
    of_keys.add_parser("list", help="whose keys there are, and their last characters")
    add = of_keys.add_parser("add", help="add a key, or put it in place of the one before; it is asked for, or read")
    add.add_argument("--unchecked", action="store_true", help="do not ask the provider whether it takes the key")
    remove = of_keys.add_parser("remove", help="remove a key")
    for command in (add, remove):
        command.add_argument("provider", choices=PROVIDERS)
        command.add_argument(
            "--of",
            nargs="+",
            default=[],
            metavar="ID",
            help="PLATFORM WORKSPACE [PERSON], by their ids there; left out: for everybody who uses this CarPool",
        )
    of_keys.add_parser("rotate", help="seal all keys anew, under a new key of the vault")


def _add_billing(billing: argparse.ArgumentParser) -> None:
    of_billing = billing.add_subparsers(dest="billing_command", required=True, metavar="COMMAND")
    reconcile = of_billing.add_parser("reconcile", help="compare the payment service with the ledger")
    reconcile.add_argument("--days", default="30", metavar="N", help="how far back")
    grant = of_billing.add_parser("grant", help="give a workspace promotional credit")
    reward = of_billing.add_parser("reward", help="the same as a reward, which is an expense of its own")
    written_off = of_billing.add_parser("writeoff", help="forgive what a workspace owes")
    usage = of_billing.add_parser("writeoff-usage", help="forgive what was to be paid later, and no invoice will pay")
    usage.add_argument("workspace", metavar="WORKSPACE", help="as `carpool billing reconcile` names it")
    usage.add_argument("amount", metavar="RC")
    invoice = of_billing.add_parser("invoice", help="ask a workspace for a bank transfer; prints its reference")
    refund = of_billing.add_parser("refund", help="give money of a top-up back, from what was not spent of it")
    resolve = of_billing.add_parser("resolve", help="make credit of a payment that waits in suspense")
    for command in (grant, reward, written_off, invoice, refund, resolve):
        command.add_argument("platform", choices=["slack", "discord", "terminal"])
        command.add_argument("workspace", metavar="WORKSPACE", help="its id on the platform; in the terminal: local")
    for command in (refund, resolve):
        command.add_argument("payment", metavar="PAYMENT", help="Stripe's pi_..., or the reference of a bank transfer")
    for command in (grant, reward, written_off, invoice, refund):
        command.add_argument("amount", metavar="DOLLARS")
    reverse = of_billing.add_parser("reverse", help="take back an entry that moved credit, such as a grant")
    reverse.add_argument("entry", metavar="ENTRY", help="its number, as `carpool ledger entries` shows it")
    of_billing.add_parser("suspense", help="list the payments that fitted nothing, and wait")
    of_billing.add_parser("requests", help="list what was asked for in chat, or by another operator, and waits")
    approve = of_billing.add_parser("approve", help="do what was asked for")
    decline = of_billing.add_parser("decline", help="do not do what was asked for")
    for command in (approve, decline):
        command.add_argument("reference", metavar="REFERENCE", help="as `carpool billing requests` shows it")
    for command in (grant, reward, written_off, usage, refund, resolve, reverse, approve, decline):
        command.add_argument("reason", nargs="+", metavar="REASON")
        _add_operator(command)
    for command in (grant, reward):
        command.add_argument("--days", metavar="N", help="how long it lasts")
    for command in (grant, reward, invoice, resolve):
        command.add_argument("--new", action="store_true", help="the ledger knows nothing of this workspace yet")
    refund.add_argument("--reference", default="", metavar="REFERENCE", help="goes on with a refund that was begun")
    usage.add_argument("--reference", default="", metavar="REFERENCE", help="a name under which it is done once")
    statement = of_billing.add_parser("statement", help="print what a person's answers were charged in a month")
    statement.add_argument("platform", choices=["slack", "discord", "terminal"])
    statement.add_argument("workspace", metavar="WORKSPACE", help="its id on the platform; in the terminal: local")
    statement.add_argument("person", metavar="PERSON", help="their id on the platform")
    statement.add_argument("--month", default="", metavar="YYYY-MM", help="by UTC; without it this month")
    statement.add_argument("--as", dest="form", choices=["text", "csv", "pdf", "email"], default="text")
    statement.add_argument("--from", dest="sender", default="", metavar="ADDRESS", help="who sends the e-mail")
    statement.add_argument("--to", default="", metavar="ADDRESS", help="who gets the e-mail")
    statement.add_argument(
        "--out", type=Path, metavar="FILE", help="where to write it, in place of the standard output"
    )
    paid = of_billing.add_parser("paid", help="say that a bank transfer has come")
    paid.add_argument("reference", metavar="REFERENCE")
    _add_operator(paid)
    _add_house(of_billing)


def _add_operator(command: argparse.ArgumentParser) -> None:
    said = "who you are, as two decide on much; without it your account"
    command.add_argument("--as", dest="operator", default="", metavar="NAME", help=said)


def _add_house(of_billing: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    bill = of_billing.add_parser("provider-bill", help="say that a provider's bill was paid from the bank")
    bill.add_argument("provider", metavar="PROVIDER", help="as `carpool ledger balances` names it")
    bill.add_argument(
        "--until", default="", metavar="YYYY-MM-DD", help="the last bill of before this day: what it leaves is no cost"
    )
    bill.add_argument("--preview", action="store_true", help="only say what it would settle")
    treasury = of_billing.add_parser("treasury", help="say that the owner put money into the bank, or took it out")
    treasury.add_argument("direction", choices=["in", "out"])
    operations = of_billing.add_parser("operations", help="say that something else was paid from the bank")
    for command in (bill, treasury, operations):
        command.add_argument("amount", metavar="DOLLARS")
        command.add_argument("reason", nargs="+", metavar="REASON")
        command.add_argument("--reference", default="", metavar="NAME", help="such as a bill's number: it counts once")
        _add_operator(command)


def _add_slack(slack: argparse.ArgumentParser) -> None:
    of_slack = slack.add_subparsers(dest="slack_command", required=True, metavar="COMMAND")
    manifest = of_slack.add_parser("manifest", help="print the app's manifest: paste it where Slack asks for one")
    manifest.add_argument(
        "--http", action="store_true", help="events over HTTP, to CARPOOL_PUBLIC_URL; left out: Socket Mode"
    )
    manifest.add_argument(
        "--rotation", action="store_true", help="tokens that last twelve hours and are renewed; for /slack/install only"
    )


def _add_erase(erase: argparse.ArgumentParser) -> None:
    kinds = erase.add_subparsers(dest="kind", required=True, metavar="WHAT")
    person = kinds.add_parser("person", help="all that a person said, and what was answered to it")
    conversation = kinds.add_parser("conversation", help="all that was said in a conversation")
    older = kinds.add_parser("older-than", help="all that was said in a workspace before so many days")
    for kind in (person, conversation, older):
        kind.add_argument("platform", choices=["discord", "slack", "terminal"])
        kind.add_argument("workspace", metavar="WORKSPACE", help="its id on the platform; in the terminal: local")
    person.add_argument("names", metavar="PERSON", nargs=1, help="the id on the platform; in the terminal: owner")
    conversation.add_argument("names", metavar="CHANNEL [THREAD]", nargs="+", help="in the terminal: terminal")
    older.add_argument("names", metavar="DAYS", nargs=1, type=_days)


def _days(given: str) -> str:
    if not (given.isascii() and given.isdigit() and len(given) < 6):
        raise argparse.ArgumentTypeError("it should be a whole number of days")
    return given


def _add_verify(verify: argparse.ArgumentParser) -> None:
    what = verify.add_mutually_exclusive_group()
    what.add_argument("--db", metavar="FILE", help="a database, instead of the ledger in CARPOOL_HOME")
    what.add_argument("--dir", metavar="FOLDER", help="an export")
    what.add_argument("--receipt", metavar="FILE", help="a receipt")
    verify.add_argument(
        "--key", metavar="VKEY", action="append", default=[], help="a public key, or a file that holds it"
    )


if __name__ == "__main__":
    sys.exit(main())
