"""The process that reads one file: a line of JSON and the file's bytes on standard input, a line of JSON on standard output.

It is started without an environment; whatever a file makes of it, nothing is lost with it.
"""

import json
import sys
from typing import BinaryIO

from integrations.documents.formats import Bounds, Unreadable, text_of


def main() -> None:
    source, target = sys.stdin.buffer, sys.stdout.buffer
    asked = json.loads(source.readline())
    _confine(asked["memory_bytes_max"], asked["seconds"])
    target.write(json.dumps(_read(source, asked)).encode() + b"\n")


def _read(source: BinaryIO, asked: dict[str, int]) -> dict[str, str]:
    bounds = Bounds(asked["text_bytes_max"], asked["unpacked_bytes_max"])
    try:
        return {"text": text_of(asked["kind"], source.read(), bounds)}  # type: ignore[arg-type]  # one of the kinds
    except Unreadable as error:
        return {"failed": error.cause}
    except MemoryError:
        return {"failed": "memory"}
    except Exception:  # noqa: BLE001  # a parser met bytes that nobody thought of, and this process ends here
        return {"failed": "broken"}


def _confine(memory_bytes_max: int, seconds: int) -> None:
    """Bind this process, as far as the system can: Windows has none of it, and macOS no limit on memory."""
    try:
        import resource
    except ImportError:
        return
    limits = (
        (resource.RLIMIT_AS, memory_bytes_max),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    )
    for kind, most in limits:
        try:
            resource.setrlimit(kind, (most, most))
        except (OSError, ValueError):
            continue


if __name__ == "__main__":
    main()
