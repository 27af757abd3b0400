"""Several models on this machine, each by its name, of which only some are in memory at once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from adapters.base import BaseAdapter, ChatRequest
from adapters.blackroad_local import LocalAdapter
from adapters.deadline import Deadline
from adapters.messages import ModelName, ProviderName, ReplyEvent


def user_models(folder: Path) -> dict[ModelName, Path]:
    """The models in a folder by their names, which are those of the files without ``.gguf``. They are not opened."""
    return {ModelName(path.stem): path for path in sorted(folder.glob("*.gguf"))}


class LocalModels(BaseAdapter):
    """``request.model`` is the name of one of ``others``, or else ``main`` is meant, which may have forks.

    A model is loaded by the first call for it. Where ``loaded_max`` are in memory already, the one that was asked longest ago and
    has nothing to answer just now is let go of first. Where all of them are at work, the call waits until one is not; that
    counts as its own time.
    """

    def __init__(
        self, provider: ProviderName, main: LocalAdapter, others: Mapping[ModelName, LocalAdapter], loaded_max: int
    ) -> None:
        self.provider = provider
        self._main = main
        self._others = dict(others)
        self._loaded_max = loaded_max
        self._answering: dict[LocalAdapter, int] = {}
        """How many answers each model in memory makes; the one that was asked last stands last."""
        self._changed = asyncio.Condition()

    async def warm_up(self) -> None:
        """Load what is asked first where nobody chooses: the first of the others. Raises ``NotConfigured``."""
        model = next(iter(self._others.values()), self._main)
        await self._take(model)
        try:
            await model.warm_up()
        finally:
            await self._give_back(model)

    async def chat(self, request: ChatRequest) -> AsyncIterator[ReplyEvent]:
        model = self._others.get(request.model, self._main)
        async with (
            self._held(model, request) as left_s,
            aclosing(model.chat(replace(request, timeout_s=left_s))) as events,
        ):
            async for event in events:
                yield event

    async def aclose(self) -> None:
        await asyncio.gather(*(model.aclose() for model in (self._main, *self._others.values())))

    @asynccontextmanager
    async def _held(self, model: LocalAdapter, request: ChatRequest) -> AsyncIterator[float]:
        """Inside, the model stays in memory. Gives the seconds that are left for the answer. Raises ``TimedOut``."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        deadline = Deadline(request)
        try:
            with deadline.waiting():
                await self._take(model)
        finally:
            deadline.over()
        try:
            yield max(0.0, request.timeout_s - (loop.time() - began_s))
        finally:
            await self._give_back(model)

    async def _take(self, model: LocalAdapter) -> None:
        async with self._changed:
            while model not in self._answering and len(self._answering) >= self._loaded_max:
                idle = next((other for other, answers in self._answering.items() if not answers), None)
                if idle is None:
                    await self._changed.wait()
                else:
                    del self._answering[idle]
                    await idle.aclose()
            self._answering[model] = self._answering.pop(model, 0) + 1

    async def _give_back(self, model: LocalAdapter) -> None:
        async with self._changed:
            self._answering[model] -= 1
            self._changed.notify_all()
