"""llama.cpp in a process of its own: what ``adapters.llama_process`` starts, and the other end of its two pipes.

In: one line of settings, then one JSON object a line: ``{"ask": 1, "body": "..."}`` or ``{"stop": 1}``. The end of the input
ends the process. Out: ``loaded``, or ``failed`` and a reason; then ``1 {chunk}`` for each chunk of answer 1, as llama.cpp
made it, and a bare ``1`` when answer 1 is over.

It is run as a file, imports nothing of ours, and holds nothing that would have to be saved.
"""

import importlib
import json
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SILENT = -1
PREFILL_BATCH_TOKENS = 128
"""A question is read in pieces of this size. Between two of them the answers beside it go on, and a stop is heeded."""
PROMPT_CACHE_MIB = 256


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops a turn, and it is the parent that decides so
    say = _speaker()
    settings = json.loads(sys.stdin.buffer.readline())
    try:
        server = _load(settings)
    except ImportError:
        say(b"failed package")
    except RuntimeError:
        say(b"failed load")
    else:
        say(b"loaded")
        _serve(server, ThreadPoolExecutor(settings["parallel_max"]), say)
    # Not sys.exit: when the library's HTTP listener is stopped before it listens, it never ends.
    os._exit(0)


def _speaker() -> Callable[[bytes], None]:
    """Writes lines to the parent. What else goes to standard output, from whatever library, goes nowhere."""
    out = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    turn = threading.Lock()

    def say(line: bytes) -> None:
        rest = memoryview(line + b"\n")
        with turn:
            try:
                while rest:
                    rest = rest[os.write(out, rest) :]
            except OSError:
                os._exit(1)  # nobody listens any more

    return say


def _load(settings: dict[str, Any]) -> Any:
    library: Any = importlib.import_module("xllamacpp")
    params = library.CommonParams()
    params.model.path = settings["model"]
    params.lora_adapters = [_lora(library, path, scale) for path, scale in settings["lora"]]
    params.n_ctx = settings["context_tokens"] * settings["parallel_max"]  # the library shares it out
    params.n_parallel = settings["parallel_max"]
    params.n_batch = params.n_ubatch = PREFILL_BATCH_TOKENS
    params.cache_ram_mib = PROMPT_CACHE_MIB
    if settings["threads"]:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    params.verbosity = SILENT
    params.warmup = False
    params.fit_params = False  # or the weights are read twice, to see what fits a graphics card
    # The library insists on a loopback port. We do not use it, and nobody else can: the key is thrown away.
    params.ui = False
    params.api_keys = [secrets.token_hex(32)]
    return library.Server(params)


def _lora(library: Any, path: str, scale: float) -> Any:
    info = library.CommonAdapterLoraInfo()
    info.path, info.scale = path, scale
    return info


def _serve(server: Any, pool: ThreadPoolExecutor, say: Callable[[bytes], None]) -> None:
    stops: dict[int, threading.Event] = {}

    def answer(number: int, body: str, stop: threading.Event) -> None:
        prefix = b"%d " % number

        def take(chunk: str) -> bool:
            say(prefix + chunk.encode())
            return stop.is_set()

        try:
            server.handle_chat_completions(body, take)
        except (RuntimeError, ValueError) as error:
            # Before the first token: a schema or a text that it cannot work with.
            say(prefix + json.dumps({"error": {"code": 400, "type": type(error).__name__}}).encode())
        del stops[number]
        say(b"%d" % number)

    for line in iter(sys.stdin.buffer.readline, b""):
        match json.loads(line):
            case {"ask": int(number), "body": str(body)}:
                stops[number] = threading.Event()
                pool.submit(answer, number, body, stops[number])
            case {"stop": int(number)}:
                if (stop := stops.get(number)) is not None:
                    stop.set()


if __name__ == "__main__":
    main()
