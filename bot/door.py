"""The way in for platforms: messages go to the intake; forms and a person's own page are served here."""

from collections.abc import Sequence
from dataclasses import replace

from adapters.messages import ToolSpec
from bot.agents.registry import CARPOOL
from bot.commands.base import Asking, Filling
from bot.commands.past import talks
from bot.commands.table import COMMANDS, recognise, run_command
from bot.intake import Intake
from bot.platforms.base import Accepted, Address, Filled, Form, Incoming, Section, Standing, Taken
from bot.rules import rules_of
from bot.run import House
from ledger.actions import CommandRun
from ledger.entry import Draft, Scope
from ledger.pseudonyms import ConversationId

NOT_KNOWN = "This form is of another version of CarPool. Open it again."
ALREADY = "This was taken already."
NOBODYS_TURN = ""

RECENT, AGENTS, SERVICES = "Recent conversations", "Agents", "Connected services"
HOME = (RECENT, "Models", AGENTS, "Keys", SERVICES, "Credit", "Settings")
"""The order of a person's own page; what has another title comes last."""


class HouseDoor:
    """Fits ``bot.platforms.base.Door``."""

    def __init__(self, intake: Intake, house: House) -> None:
        self._intake = intake
        self._house = house

    async def accept(self, incoming: Incoming) -> Accepted:
        return await self._intake.accept(incoming)

    async def amend(self, incoming: Incoming, edit: str) -> None:
        await self._intake.amend(incoming, edit)

    async def withdraw(self, address: Address, event_identity: str) -> None:
        await self._intake.withdraw(address, event_identity)

    def stop(self, conversation: ConversationId) -> int:
        return self._intake.stop(conversation)

    def conversation(self, address: Address) -> ConversationId:
        return self._intake.conversation(address)

    async def knows(self, address: Address) -> bool:
        return await self._intake.knows(address)

    async def form(self, address: Address, standing: Standing, text: str) -> Form | None:
        name, _, arguments = recognise(text, bare=True).partition(" ")
        command = COMMANDS.get(name)
        if command is None or command.form is None:
            return None
        scope = self._intake.scope(address, NOBODYS_TURN)
        return await command.form.ask(await self._asking(scope, arguments, address, standing), self._house.desk)

    async def fill(self, filled: Filled) -> Taken:
        command = COMMANDS.get(filled.form)
        if command is None or command.form is None:
            return Taken(self._house.desk.say(NOT_KNOWN), {})
        scope = self._intake.scope(filled.address, f"form/{filled.event_identity}")
        roadchain = self._house.roadchain
        (begun,) = await roadchain.append(Draft(CommandRun(command.name), scope, f"{scope.turn}/{CommandRun.name}/1"))
        if not begun.fresh:
            return Taken(self._house.desk.say(ALREADY), {})
        asking = await self._asking(scope, "", filled.address, filled.standing)
        filling = await command.form.fill(asking, self._house.desk, filled.values)
        await self._record(scope, filling)
        return Taken(filling.text, filling.errors)

    async def home(self, address: Address, standing: Standing) -> tuple[Section, ...]:
        say = self._house.desk.say
        asking = await self._asking(self._intake.scope(address, NOBODYS_TURN), "", address, standing)
        if not asking.rules.may(asking.role, "ask"):
            return (Section("CarPool", say("An admin of this workspace has not let you in: guests are refused here.")),)
        toolbox = self._house.toolbox
        had = await talks(self._house.desk.store, asking.scope, asking.seq)
        sections = {
            section.title: section
            for section in (
                Section(
                    RECENT,
                    "" if had else say("None yet. Write to me under Messages, or mention me in a channel."),
                    talks=had,
                ),
                self._services(await toolbox.offered(asking.scope.workspace, asking.scope.actor)),
                Section(
                    AGENTS, say("- **{0}** answers; Lucidia chooses its model where nobody chose one.", CARPOOL.name)
                ),
            )
        }
        for command in COMMANDS.values():
            if command.home:
                result = await run_command(command.name, asking, self._house.desk)
                text = f"{result.text}\n\n{sections[SERVICES].text}" if command.home == SERVICES else result.text
                sections[command.home] = Section(command.home, text, result.buttons)
        known = [sections.pop(title) for title in HOME if title in sections]
        return tuple(replace(section, title=say(section.title)) for section in (*known, *sections.values()))

    def _services(self, offered: Sequence[ToolSpec]) -> Section:
        """What tools there are. What a command says whose ``home`` has this title stands before it."""
        say = self._house.desk.say
        asks = say(", which asks before it changes something")
        lines = [f"- `{spec.name}`{asks if spec.effect == 'write' else ''}" for spec in offered]
        return Section(SERVICES, "\n".join(lines) or say("There are no tools."))

    async def _asking(self, scope: Scope, arguments: str, address: Address, standing: Standing) -> Asking:
        store = self._house.desk.store
        rules = rules_of(await store.settings(scope.workspace))
        seq = (await store.head()).size
        return Asking(scope, seq, arguments, address, rules.role(standing, scope.actor), rules)

    async def _record(self, scope: Scope, filling: Filling) -> None:
        drafts = [
            Draft(change, scope, f"{scope.turn}/{change.name}/{number}")
            for number, change in enumerate(filling.changes, start=1)
        ]
        if drafts:
            await self._house.roadchain.append(*drafts)
