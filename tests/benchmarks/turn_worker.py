"""Whole turns in a process of their own: accepted durably, routed, journalled, answered by a script without a pause."""

import asyncio
import json
import sys
import time
from pathlib import Path

from adapters.scripted import answer
from bot.platforms.base import Address
from tests.house import ME, Open, RecordingPlatform, asks, running_house


async def converse(open_: Open, conversation: int, turns: int, first: int) -> None:
    address = Address(ME.platform, ME.workspace, ME.channel, str(conversation), ME.person)
    for number in range(first, first + turns):
        accepted = await open_.intake.accept(asks("What is it?", f"{conversation}/{number}", address))
        assert await open_.intake.ended(accepted.turn) == "answered"


async def main(folder: Path, conversations: int, turns: int) -> None:
    async with running_house(folder, RecordingPlatform(), [answer("Hello ", "there.")]) as open_:
        await asyncio.gather(*(converse(open_, number, 1, 0) for number in range(conversations)))  # warm
        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.gather(*(converse(open_, number, turns, 1) for number in range(conversations)))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps({"turns": conversations * turns, "cpu_s": cpu, "wall_s": wall}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
