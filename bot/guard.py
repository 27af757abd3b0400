"""What a model says, as it may be shown: where it has read words of others, no link or image in it carries anything out.

One place for all platforms: what a screen shows while the answer is made, and what is prepared as the reply, go through here.
What counts as known is what was read before the model said it, so that both come out the same, in this run and in a later one.
"""

from collections.abc import Iterator
from dataclasses import replace

from adapters.messages import File, Message, Text, ToolResult
from bot.links import LinkFilter, Links, is_doubtful, known_in, safe
from bot.platforms.base import Screen, ToolStep
from bot.run import Run
from bot.story import Attempt, Story


async def links_of(story: Story, run: Run, attempt: int) -> Links | None:
    """Which links an attempt may make; None where it has read nothing of others, and may make any. Raises ``StoreFailed``."""
    before = replace(story, tools=tuple(use for use in story.tools if use.called.round < attempt))
    house = run.house
    if not before.has_read_others(house.toolbox.own) and not await run.past.has_others(story, house, ""):
        return None
    past = await run.past.of(story, house)
    read = [story.question, *(message for message in past if message.role == "user")]
    results = [use.result.content for use in before.tools if use.result is not None]
    return Links(known_in([*_texts(read), *results]), house.image_hosts)


async def guarded(story: Story, run: Run) -> Story:
    """The same story, with what its models said as it may be shown. Raises ``StoreFailed``."""
    return replace(story, attempts=tuple([await _guarded(story, run, one) for one in story.attempts]))


async def _guarded(story: Story, run: Run, attempt: Attempt) -> Attempt:
    said = attempt.said
    if said is None or not is_doubtful(said.text):
        return attempt
    links = await links_of(story, run, attempt.called.attempt)
    if links is None:
        return attempt
    parts = tuple(Text(safe(part.text, links)) if isinstance(part, Text) else part for part in said.parts)
    return replace(attempt, said=replace(said, parts=parts))


def _texts(messages: list[Message]) -> Iterator[str]:
    for message in messages:
        for part in message.parts:
            match part:
                case Text(text) | File(text=text) | ToolResult(content=text):
                    yield text
                case _:
                    pass


NO_LINKS = Links(frozenset())


class GuardedScreen:
    """A screen for what one attempt says. Where nothing was read, and nothing said before, each letter is shown as it comes; else
    whether there are words of others in it is looked up with the first word that matters."""

    def __init__(self, screen: Screen, story: Story, run: Run, attempt: int) -> None:
        self._screen = screen
        self._story = story
        self._run = run
        self._attempt = attempt
        self._filter = LinkFilter(NO_LINKS)
        self._decided = False
        self._open = False

    @property
    def shows(self) -> bool:
        return self._screen.shows

    async def show(self, delta: str) -> None:
        if not self._decided and (is_doubtful(self._filter.held + delta) or await self._has_read_nothing()):
            links = await links_of(self._story, self._run, self._attempt)
            self._decided, self._open = True, links is None
            if links is None:
                delta = self._filter.held + delta
            else:
                self._filter.links = links
        shown = delta if self._open else self._filter.feed(delta)
        if shown:
            await self._screen.show(shown)

    async def _has_read_nothing(self) -> bool:
        story, run = self._story, self._run
        return not story.has_read_others(run.house.toolbox.own) and not await run.past.of(story, run.house)

    async def end(self) -> None:
        """Show what was held back."""
        if not self._open and (rest := self._filter.end()):
            await self._screen.show(rest)

    async def reasoning(self, delta: str) -> None:
        await self._screen.reasoning(delta)

    async def begin(self) -> None:
        await self._screen.begin()

    async def tool(self, step: ToolStep) -> None:
        await self._screen.tool(step)

    async def wait(self) -> None:
        await self._screen.wait()

    async def discard(self) -> None:
        await self._screen.discard()
