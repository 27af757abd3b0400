"""What a person is told who asks nothing just now: what came of a payment that they began, or of what they asked operators for.

It is a turn like any other, whose reply is prepared with it in one step: so it is delivered once, whatever happens to this
process, by whoever has the platform, and it is for the person alone. It goes where they asked for the payment.
"""

from dataclasses import dataclass

from bot.commands.amounts import dollars_text
from bot.commands.billing import BILLING
from bot.commands.refund import REFERENCE
from bot.commands.request import named, reference_of
from bot.payloads import decode_asked
from bot.sentences import ENGLISH, Sentences
from bot.telling import notice
from integrations.payments.base import Amount, Cents, News, urc
from integrations.payments.keys import asked_key
from integrations.payments.requests import RefundRequest
from ledger.actions import MessageReceived
from ledger.entry import Entry, Scope
from ledger.errors import LedgerError
from ledger.money import URC_PER_RC, rc_text
from ledger.payment_actions import AdjustmentRequested
from ledger.pseudonyms import ActorId, Pseudonyms, TurnId, WorkspaceId
from ledger.roadchain import RoadChain
from ledger.store import Store

AGAIN = "`/billing topup DOLLARS` makes a new link."
SENT = "What you asked for as `{0}` is on its way: {1} back, the way it was paid."
DECLINED = (
    "What you asked for as `{0}`, {1} back, was declined by whoever runs this CarPool. The credit is still there."
)
GRANTED = "What you asked for as `{0}`, {1}, is done. `/billing` shows what there is."
TURNED_DOWN = "What you asked for as `{0}`, {1}, was declined by whoever runs this CarPool. Nothing was changed."


@dataclass(frozen=True, slots=True)
class Notices:
    """``platforms`` are those whose turns this process works on; another's are left to whoever does."""

    roadchain: RoadChain
    store: Store
    pseudonyms: Pseudonyms
    platforms: frozenset[str] = frozenset()
    say: Sentences = ENGLISH

    async def tell(self, news: News) -> None:
        """Have it said, once. Durable on return. Where nobody knows any more who asked, or where, nothing is said.

        Raises ``StoreFailed``.
        """
        asked = await self.store.find(asked_key(news.buyer))
        if asked is not None:
            event = f"payment/{news.about.id}/{news.outcome}"
            await self._say(asked.entry.turn, asked.entry.workspace, asked.entry.actor, event, sentence(news, self.say))

    async def tell_decided(self, request: RefundRequest, *, sent: bool) -> None:
        """Have whoever asked for a refund told what was decided, once, as above. Raises ``StoreFailed``."""
        amount = dollars_text(Amount(Cents(request.amount // URC_PER_RC)))
        text = self.say(SENT if sent else DECLINED, request.reference, amount)
        turn = TurnId(request.reference.removeprefix(REFERENCE))
        event = f"refund/{request.reference}/{'sent' if sent else 'declined'}"
        await self._say(turn, request.entry.workspace, request.entry.actor, event, text)

    async def tell_requested(self, entry: Entry, wanted: AdjustmentRequested, *, done: bool) -> None:
        """The same of what ``entry`` asks for. Raises ``StoreFailed``."""
        reference = reference_of(entry.turn)
        what = named(wanted.kind, Amount(Cents(wanted.amount // URC_PER_RC)), self.say)
        text = self.say(GRANTED if done else TURNED_DOWN, reference, what)
        event = f"request/{reference}/{'done' if done else 'declined'}"
        await self._say(entry.turn, entry.workspace, entry.actor, event, text)

    async def _say(self, turn: TurnId, workspace: WorkspaceId, actor: ActorId, event: str, text: str) -> None:
        """Where ``turn`` asked for it."""
        first = await self.store.entries_of(turn)
        if not first or first[0].body is None or not isinstance(first[0].entry.action, MessageReceived):
            return
        address, conversation = decode_asked(first[0].body).address, first[0].entry.action.conversation
        # In the name of the command, whose replies are private.
        person = Scope(workspace, actor, conversation, turn)
        drafts = notice(self.pseudonyms, address, person, event, BILLING.name, text)
        try:
            receipts = await self.roadchain.append(*drafts)
        except LedgerError:  # it was said before, in other words
            return
        if receipts[0].fresh and address.platform not in self.platforms:
            await self.store.release(drafts[0].scope.turn, 0)


def sentence(news: News, say: Sentences) -> str:
    credit = rc_text(urc(news.amount))
    match news.outcome, news.plan:
        case "recorded", "":
            return say("Your payment has come: {0} of credit are there. `/billing` shows what can be spent.", credit)
        case "recorded", plan:
            return say("The plan {0} is paid: {1} of credit are there. `/billing` shows until when.", plan, credit)
        case "returned", _:
            return say(
                "This workspace has a plan already, so the second one that you paid for was ended at once, and your {0} "
                "go back the way they came. That takes some days.",
                dollars_text(Amount(news.amount, news.currency)),
            )
        case "unmatched", _:
            paid = dollars_text(Amount(news.amount, news.currency))
            return say(
                "A payment of {0} has come, and does not fit what was asked for. Whoever runs this CarPool looks "
                "at it; its reference is `{1}`.",
                paid,
                news.about.id,
            )
        case _ if news.about.kind == "invoice":
            page = (
                say("[{0}]({1}) takes another card.", say("Its page"), news.url)
                if news.url
                else say("`/billing portal` takes another card.")
            )
            return say(
                "A payment for this workspace's plan did not go through. {0} What was bought can still be spent.", page
            )
        case _:
            return say("Your payment did not go through, and nothing was charged. {0}", say(AGAIN))
