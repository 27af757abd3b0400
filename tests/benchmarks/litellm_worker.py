"""Calls of LiteLLM's router, in its own environment: this file imports nothing of ours."""

import asyncio
import json
import sys
import time

import litellm

MESSAGES = [{"role": "user", "content": "What is it?"}]


async def converse(router: litellm.Router, turns: int) -> None:
    for _ in range(turns):
        reply = await router.acompletion(model="echo", messages=MESSAGES)
        assert reply.choices[0].message.content


async def main(url: str, conversations: int, turns: int) -> None:
    litellm.suppress_debug_info = True
    parameters = {"model": "openai/echo", "api_base": url, "api_key": "none"}
    router = litellm.Router(model_list=[{"model_name": "echo", "litellm_params": parameters}])
    await asyncio.gather(*(converse(router, 1) for _ in range(conversations)))  # warm
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(converse(router, turns) for _ in range(conversations)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps({"turns": conversations * turns, "cpu_s": cpu, "wall_s": wall}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
