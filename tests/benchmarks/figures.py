"""What a benchmark gives, and how figures are made of samples."""

import math
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """``value`` beside its ``peer``, both measured in the same run. ``goal`` is empty where there is none."""

    what: str
    value: str
    peer: str = ""
    ratio: str = ""
    goal: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one of many, in seconds: what passes, and what this process computes."""

    wall_s: float
    cpu_s: float

    def __str__(self) -> str:
        return f"{1 / self.wall_s:,.0f} a second, {milliseconds(self.cpu_s)} of CPU"


async def cost_of(count: int, work: Awaitable[object]) -> Cost:
    """``work`` does all of ``count``."""
    began, cpu = time.perf_counter(), time.process_time()
    await work
    return Cost((time.perf_counter() - began) / count, (time.process_time() - cpu) / count)


def percentile(samples: Sequence[float], percent: float) -> float:
    """Nearest rank."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def p50_p99(samples: Sequence[float]) -> str:
    return f"{milliseconds(percentile(samples, 50))} / {milliseconds(percentile(samples, 99))}"


def median(samples: Iterable[float]) -> float:
    return statistics.median(samples)


def fdatasync_samples(folder: Path, count: int) -> list[float]:
    """The floor of whatever is durable on this disk: 4 KiB appended and flushed, in seconds."""
    samples: list[float] = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(count):
            began = time.perf_counter()
            file.write(b"\0" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            samples.append(time.perf_counter() - began)
    return samples


def machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    cores = f"{os.cpu_count()} cores"
    return f"{platform.system()} {platform.machine()}, {model or 'CPU not named'}, {cores}, Python {platform.python_version()}"
