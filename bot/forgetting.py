"""A workspace's billing data is deleted: its customer at the payment service, and then the texts of ``/billing`` here.

Each step can be done again, so that a turn that was cut off, or a second press, carries it to its end.
"""

from bot.commands.billing import BILLING
from bot.errors import referred
from bot.payloads import decode_asked
from bot.run import Run
from integrations.payments.base import PaymentError
from integrations.payments.forgetting import delete_customer
from ledger.actions import MessageReceived, TurnFinished
from ledger.entry import Scope
from ledger.erasure import erase_turns
from ledger.errors import StoreFailed
from ledger.pseudonyms import TurnId, WorkspaceId
from ledger.store import Store

PAGE = 1000


async def forget_billing(scope: Scope, run: Run) -> str:
    """What its owner reads. Raises ``LedgerError``, ``StoreFailed``."""
    desk, say = run.house.desk, run.house.desk.say
    cashier, done = desk.billing.cashier, list[str]()
    try:
        gone = cashier is not None and await delete_customer(cashier, scope)
    except PaymentError as error:
        said = say(
            "The payment service did not say whether the customer is deleted, so the texts are still here: say it again. {0}",
            say(error.remedy),
        )
        return referred(said, scope.turn, say)
    if gone:
        done.append(
            say(
                "The customer of this workspace is deleted at the payment service, and what it subscribed to has ended."
            )
        )
    turns = await _turns_of_billing(desk.store, scope.workspace)
    try:
        texts = await erase_turns(run.house.roadchain, desk.store, scope.workspace, turns)
    except StoreFailed as error:
        if error.reason != "busy":
            raise
        done.append(
            say(
                "The texts of `/billing` can be read here no more, but a file still holds pieces of them, because another "
                "program uses it: say it again in a minute."
            )
        )
    else:
        done.append(say("Texts of `/billing` that were erased here: {0:,}.", texts))
    done.append(say("Credit and entries are as before. Whoever buys here again is a new customer."))
    return " ".join(done)


async def _turns_of_billing(store: Store, workspace: WorkspaceId) -> list[TurnId]:
    """Those that have ended: what is not delivered yet still needs its text. Reads the whole ledger, which is seldom enough."""
    found: dict[TurnId, bool] = {}
    after = -1
    while page := await store.entries(after, PAGE):
        for recorded in page:
            entry = recorded.entry
            if entry.workspace != workspace:
                continue
            match entry.action:
                case MessageReceived(kind="command") if recorded.body is not None:
                    name, _, _ = decode_asked(recorded.body).invocation.partition(" ")
                    found |= {entry.turn: False} if name == BILLING.name else {}
                case TurnFinished() if entry.turn in found:
                    found[entry.turn] = True
                case _:
                    pass
        after = page[-1].entry.seq
    return [turn for turn, ended in found.items() if ended]
