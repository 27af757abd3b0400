"""``carpool billing`` as an operator types it, in this process: the real parser, house and SDK, and the fake Stripe."""

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from bot import __main__ as program
from bot.config import load
from bot.settings import Settings
from integrations.storage.sqlite import SqliteStore
from ledger.credit_actions import CreditRefused
from ledger.store import Recorded
from tests.fakes.stripe_server import KEY, SECRET, StripeServer
from tests.processes import Done


@dataclass(frozen=True)
class Console:
    settings: Settings

    async def run(self, *words: str) -> Done:
        """What argparse refuses is a status, too."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                status = await program._of_billing(program._parser().parse_args(["billing", *words]), self.settings)
            except SystemExit as left:
                status = int(left.code or 0)
        return Done(status, out.getvalue(), err.getvalue())

    async def entries(self) -> list[Recorded]:
        store = await SqliteStore.open(self.settings.home / "roadchain.db")
        try:
            return list(await store.entries(-1, 1_000))
        finally:
            await store.aclose()

    async def refused(self, after: int = 0) -> list[tuple[str, str]]:
        actions = [item.entry.action for item in (await self.entries())[after:]]
        return [(action.kind, action.code) for action in actions if isinstance(action, CreditRefused)]

    async def money(self) -> dict[tuple[str, str], int]:
        store = await SqliteStore.open(self.settings.home / "roadchain.db")
        try:
            return {(row.account, row.currency): row.balance for row in await store.balances()}
        finally:
            await store.aclose()


def console_in(folder: Path, stripe: StripeServer | None = None, **more: str) -> Console:
    given = {"CARPOOL_LOCAL_ENABLED": "false", **more}
    if stripe is not None:
        given |= {"STRIPE_API_KEY": KEY, "STRIPE_WEBHOOK_SECRET": SECRET, "STRIPE_API_URL": stripe.base_url}
        given |= {"STRIPE_RETURN_URL": "http://carpool.test/back"}
    settings = load(given, folder, folder / "home").settings
    assert settings is not None
    return Console(settings)
