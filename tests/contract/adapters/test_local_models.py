"""Several models on this machine: the real one, copied, so that each file is a model of its own."""

import asyncio
import shutil
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from adapters.base import ChatRequest, collect
from adapters.blackroad_local import LocalAdapter, embedded_weights
from adapters.errors import NotConfigured, TimedOut
from adapters.local_models import LocalModels, user_models
from adapters.messages import ModelName, ProviderName, TextDelta
from tests.contract.adapters.subjects import LOCAL_THREADS, ask

LOCAL = ProviderName("local")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("small", "other"):
        shutil.copy(embedded_weights(), tmp_path / f"{name}.gguf")
    (tmp_path / "notes.txt").write_text("no model")
    return tmp_path


def local(path: Path | None) -> LocalAdapter:
    return LocalAdapter(LOCAL, path, (), 512, 2, LOCAL_THREADS, temperature=0.0)


@pytest.fixture
async def models(folder: Path, request: pytest.FixtureRequest) -> AsyncIterator[LocalModels]:
    others = {name: local(path) for name, path in user_models(folder).items()}
    adapter = LocalModels(LOCAL, local(None), others, loaded_max=cast(int, request.param))
    yield adapter
    await adapter.aclose()


def asked(model: str, timeout_s: float = 60.0) -> ChatRequest:
    return replace(ask("text", timeout_s), model=ModelName(model), max_output_tokens=8)


def in_memory(started: list[Process]) -> list[bool]:
    return [process.returncode is None for process in started]


def test_each_gguf_file_of_a_folder_is_a_model_by_its_name(folder: Path) -> None:
    assert user_models(folder) == {"other": folder / "other.gguf", "small": folder / "small.gguf"}


@pytest.mark.parametrize("models", [2], indirect=True)
async def test_each_is_loaded_when_it_is_first_asked_and_stays_while_there_is_room(
    models: LocalModels, started: list[Process]
) -> None:
    for name, loaded in (("small", 1), ("small", 1), ("other", 2), ("small", 2)):
        assert (await collect(models.chat(asked(name)))).text
        assert in_memory(started) == [True] * loaded


@pytest.mark.parametrize("models", [2], indirect=True)
async def test_the_one_asked_longest_ago_makes_room(models: LocalModels, started: list[Process]) -> None:
    for name in ("small", "other", "small", "any other name"):
        await collect(models.chat(asked(name)))
    assert in_memory(started) == [True, False, True]
    await collect(models.chat(asked("other")))
    assert in_memory(started) == [False, False, True, True]


@pytest.mark.parametrize("models", [1], indirect=True)
async def test_one_that_answers_is_not_let_go_of_and_the_other_waits_for_it(
    models: LocalModels, started: list[Process]
) -> None:
    endless = replace(ask("endless"), model=ModelName("small"))
    async with aclosing(cast(Any, models.chat(endless))) as events:
        assert isinstance(await anext(events), TextDelta)
        with pytest.raises(TimedOut):
            await collect(models.chat(asked("other", timeout_s=0.2)))
        waiting = asyncio.create_task(collect(models.chat(asked("other"))))
        assert isinstance(await anext(events), TextDelta)
        assert in_memory(started) == [True]
    assert (await waiting).text
    assert in_memory(started) == [False, True]


@pytest.mark.parametrize("models", [1], indirect=True)
async def test_one_that_cannot_be_loaded_takes_no_room(
    models: LocalModels, folder: Path, started: list[Process]
) -> None:
    (folder / "small.gguf").write_text("not a model")
    with pytest.raises(NotConfigured, match=r"small\.gguf is not a GGUF file"):
        await collect(models.chat(asked("small")))
    assert (await collect(models.chat(asked("other")))).text
    assert in_memory(started) == [True]
