"""What is particular to models on this machine: their files, their process, and the event loop beside them."""

import asyncio
import os
import random
import signal
import struct
import threading
import time
import zlib
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from adapters.base import ChatRequest, WholeReply, collect
from adapters.blackroad_local import LocalAdapter, LoraFork, embedded_weights, user_forks
from adapters.errors import NotConfigured, Refused, Unavailable
from adapters.messages import Finished, ModelName, ProviderName, TextDelta, say
from tests.contract.adapters.subjects import LOCAL_THREADS, ask

pytestmark = pytest.mark.asyncio(loop_scope="module")

LATE_MAX_S = 0.5
STOPS_MAX_S = 2.5
ENDS_MAX_S = 10.0
HIDDEN = 576
RANK = 4


def local(model: Path | None = None, lora: tuple[LoraFork, ...] = (), parallel_max: int = 4) -> LocalAdapter:
    return LocalAdapter(ProviderName("local"), model, lora, 512, parallel_max, LOCAL_THREADS, temperature=0.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared() -> AsyncIterator[LocalAdapter]:
    adapter = local()
    yield adapter
    await adapter.aclose()


async def reply_of(adapter: LocalAdapter, request: ChatRequest | None = None) -> WholeReply:
    return await collect(adapter.chat(request or ask("text")))


async def test_a_model_that_repeats_itself_can_be_made_unwilling_to(shared: LocalAdapter) -> None:
    """Told by how well the answer compresses: one that goes in circles shrinks to very little."""
    poem = ChatRequest(ModelName("m"), (say("user", "Write a poem about the sea."),), 300, 60)
    unwilling = LocalAdapter(
        ProviderName("local"), None, (), 512, 1, LOCAL_THREADS, temperature=0.0, dry_multiplier=0.8
    )
    try:
        free, bound = await reply_of(shared, poem), await reply_of(unwilling, poem)
    finally:
        await unwilling.aclose()
    assert shrunk(bound) > 1.5 * shrunk(free)


def shrunk(reply: WholeReply) -> float:
    text = reply.text.encode()
    return len(zlib.compress(text)) / len(text)


async def test_the_event_loop_is_never_late_while_weights_load_and_four_answers_stream() -> None:
    adapter = local()
    late_s = 0.0

    async def tick() -> None:
        nonlocal late_s
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.005)
            late_s = max(late_s, time.monotonic() - began - 0.005)

    ticking = asyncio.create_task(tick())
    replies = await asyncio.gather(*(reply_of(adapter) for _ in range(4)))
    await adapter.aclose()
    ticking.cancel()
    assert all(reply.text for reply in replies)
    assert late_s < LATE_MAX_S


async def test_closing_leaves_neither_thread_nor_process(started: list[Process]) -> None:
    before = set(threading.enumerate())
    adapter = local()
    await reply_of(adapter)
    await adapter.aclose()
    assert [process.returncode is None for process in started] == [False]
    # asyncio's thread that waited for the process tells of its end first, and ends then.
    for thread in set(threading.enumerate()) - before:
        await asyncio.to_thread(thread.join, ENDS_MAX_S)
        assert not thread.is_alive()


async def test_closing_while_the_weights_load_leaves_no_process(started: list[Process]) -> None:
    adapter = local()
    loading = asyncio.create_task(adapter.warm_up())
    while not started:
        await asyncio.sleep(0.001)  # nothing says when the child is there
    await adapter.aclose()
    with pytest.raises(asyncio.CancelledError):
        await loading
    assert [process.returncode is None for process in started] == [False]


async def test_closing_ends_an_answer_under_way() -> None:
    adapter = local()
    async with aclosing(cast(Any, adapter.chat(ask("endless")))) as events:
        await anext(events)
        await adapter.aclose()
        with pytest.raises(Unavailable):
            async for _ in events:
                pass


async def test_one_that_never_loaded_closes_at_once() -> None:
    await local().aclose()


async def test_one_who_stops_waiting_does_not_stop_the_loading_for_the_others() -> None:
    adapter = local()
    impatient = asyncio.create_task(adapter.warm_up())
    patient = asyncio.create_task(reply_of(adapter))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).text
    await adapter.aclose()


async def test_an_answer_whose_process_dies_is_unavailable_and_the_next_one_is_made(
    started: list[Process], caplog: pytest.LogCaptureFixture
) -> None:
    adapter = local()
    async with aclosing(cast(Any, adapter.chat(ask("endless")))) as events:
        await anext(events)
        os.kill(started[0].pid, signal.SIGKILL)
        with pytest.raises(Unavailable):
            async for _ in events:
                pass
    assert (await reply_of(adapter)).text
    await adapter.aclose()
    assert not caplog.records


async def test_the_process_ends_when_nobody_is_left_to_ask_it(started: list[Process]) -> None:
    adapter = local()
    async with aclosing(cast(Any, adapter.chat(ask("endless")))) as events:
        await anext(events)
        pipe = started[0].stdin
        assert pipe is not None
        pipe.close()  # as when the program is killed
        async with asyncio.timeout(30):
            assert await started[0].wait() == 0
    await adapter.aclose()


async def test_more_questions_than_fit_at_once_wait_for_their_turn() -> None:
    adapter = local(parallel_max=1)
    replies = await asyncio.gather(*(reply_of(adapter) for _ in range(3)))
    assert len({reply.text for reply in replies}) == 1
    await adapter.aclose()


async def test_a_stop_is_heeded_while_a_long_question_is_read(shared: LocalAdapter) -> None:
    def long_question(animal: str) -> ChatRequest:
        said = " ".join(f"{animal} {number} slept." for number in range(70))
        return replace(ask("text"), messages=(say("user", said),))

    await shared.warm_up()
    began = time.monotonic()
    await reply_of(shared, long_question("Dog"))
    whole_s = time.monotonic() - began
    reading = asyncio.create_task(reply_of(shared, long_question("Cat")))
    await asyncio.sleep(0.05)  # it takes seconds to read that question
    began = time.monotonic()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert time.monotonic() - began < max(STOPS_MAX_S, whole_s / 2)
    assert (await reply_of(shared)).text


async def test_a_full_context_ends_the_answer_by_length() -> None:
    adapter = LocalAdapter(ProviderName("local"), None, (), 256, 2, LOCAL_THREADS)
    reply = await reply_of(adapter, replace(ask("endless"), max_output_tokens=5000))
    await adapter.aclose()
    assert reply.reason == "length"
    assert reply.usage is not None
    assert reply.usage.input + reply.usage.output <= 256


async def test_a_question_asked_again_is_read_from_the_cache(shared: LocalAdapter) -> None:
    await reply_of(shared)
    usage = (await reply_of(shared)).usage
    assert usage is not None
    assert 0 < usage.cache_read <= usage.input


async def test_at_temperature_zero_an_answer_is_repeatable(shared: LocalAdapter) -> None:
    assert (await reply_of(shared)).text == (await reply_of(shared)).text


async def test_a_schema_that_no_grammar_is_made_of_is_refused(shared: LocalAdapter) -> None:
    with pytest.raises(Refused):
        await reply_of(shared, replace(ask("text"), response_schema={"type": "nonsense"}))


async def test_text_that_has_no_utf8_form_is_refused(shared: LocalAdapter) -> None:
    with pytest.raises(Refused):
        await reply_of(shared, replace(ask("text"), messages=(say("user", "\ud800"),)))


async def test_a_missing_file_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match=r"gone\.gguf cannot be read\. Set CARPOOL_LOCAL_MODEL"):
        await local(tmp_path / "gone.gguf").warm_up()


async def test_a_file_that_is_no_gguf_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.gguf"
    path.write_text("not a model")
    with pytest.raises(NotConfigured, match=r"notes\.gguf is not a GGUF file"):
        await local(path).warm_up()


@pytest.mark.parametrize("kept_bytes", [4, 3000, 40_000_000])
async def test_a_torn_gguf_is_named_and_the_process_goes_on(tmp_path: Path, kept_bytes: int) -> None:
    path = tmp_path / "torn.gguf"
    with embedded_weights().open("rb") as whole:
        path.write_bytes(whole.read(kept_bytes))
    adapter = local(path)
    for _ in range(2):
        with pytest.raises(NotConfigured, match=r"cannot load .*torn\.gguf"):
            await adapter.warm_up()
    await adapter.aclose()


async def test_a_missing_fork_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match=r"fork\.gguf cannot be read"):
        await local(lora=(LoraFork(tmp_path / "fork.gguf"),)).warm_up()


async def test_a_whole_model_is_no_fork() -> None:
    with pytest.raises(NotConfigured, match="not made for each other"):
        await local(lora=(LoraFork(embedded_weights()),)).warm_up()


async def test_a_fork_changes_the_answer_as_strongly_as_it_is_scaled(tmp_path: Path) -> None:
    fork = tmp_path / "fork.gguf"
    fork.write_bytes(gguf_of_a_fork())
    texts = []
    for lora in ((), (LoraFork(fork, 0.0),), (LoraFork(fork, 1.0),)):
        adapter = local(lora=lora)
        texts.append((await reply_of(adapter)).text)
        await adapter.aclose()
    without, at_nought, whole = texts
    assert without == at_nought != whole


async def test_a_fork_answers_by_its_name_and_the_model_itself_by_any_other(tmp_path: Path) -> None:
    (tmp_path / "pirate.gguf").write_bytes(gguf_of_a_fork(seed=1))
    (tmp_path / "poet.gguf").write_bytes(gguf_of_a_fork(seed=2))
    (tmp_path / "notes.txt").write_text("no fork")
    forks = user_forks(tmp_path)
    assert list(forks) == ["pirate", "poet"]
    adapter = LocalAdapter(ProviderName("local"), None, (), 512, 1, LOCAL_THREADS, temperature=0.0, forks=forks)
    plain = LocalAdapter(ProviderName("local"), None, (), 512, 1, LOCAL_THREADS, temperature=0.0)
    request = replace(ask("text"), max_output_tokens=12)
    texts: dict[str, str] = {}
    for name in ("pirate", "poet", "the model", "pirate"):
        reply = await reply_of(adapter, replace(request, model=ModelName(name)))
        assert texts.setdefault(name, reply.text) == reply.text
    await adapter.aclose()
    assert texts["the model"] == (await reply_of(plain, request)).text
    await plain.aclose()
    assert len(set(texts.values())) == 3


async def test_a_damaged_fork_is_named(tmp_path: Path) -> None:
    (tmp_path / "pirate.gguf").write_text("not a fork")
    adapter = LocalAdapter(ProviderName("local"), None, forks=user_forks(tmp_path))
    with pytest.raises(NotConfigured, match=r"pirate\.gguf is not a GGUF file"):
        await adapter.warm_up()
    await adapter.aclose()


async def test_nothing_but_the_answer_reaches_standard_output_and_error(capfd: pytest.CaptureFixture[str]) -> None:
    adapter = local()
    events = [event async for event in adapter.chat(ask("text"))]
    await adapter.aclose()
    assert isinstance(events[0], TextDelta)
    assert isinstance(events[-1], Finished)
    assert capfd.readouterr() == ("", "")


def gguf_of_a_fork(seed: int = 1) -> bytes:
    """A LoRA adapter of random numbers for the first block's attention output. Format: ggml's docs/gguf.md, version 3."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    def pair(key: str, value: str | float) -> bytes:
        string, float32 = 8, 6
        if isinstance(value, str):
            return text(key) + struct.pack("<I", string) + text(value)
        return text(key) + struct.pack("<If", float32, value)

    def tensor(name: str, columns: int, rows: int, offset_bytes: int) -> bytes:
        return text(name) + struct.pack("<IQQIQ", 2, columns, rows, 0, offset_bytes)

    weight, size_bytes = "blk.0.attn_output.weight", 4 * HIDDEN * RANK
    pairs = (
        pair("general.architecture", "llama"),
        pair("general.type", "adapter"),
        pair("adapter.type", "lora"),
        pair("adapter.lora.alpha", float(RANK)),
    )
    head = b"GGUF" + struct.pack("<IQQ", 3, 2, len(pairs)) + b"".join(pairs)
    head += tensor(f"{weight}.lora_a", HIDDEN, RANK, 0) + tensor(f"{weight}.lora_b", RANK, HIDDEN, size_bytes)
    numbers = random.Random(seed)
    data = struct.pack(f"<{2 * HIDDEN * RANK}f", *(numbers.uniform(-1, 1) for _ in range(2 * HIDDEN * RANK)))
    return head + b"\0" * (-len(head) % 32) + data
