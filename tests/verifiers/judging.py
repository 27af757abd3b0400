"""Runs a judge, which is a program in another language: cases go in as lines of JSON, verdicts come out in their order."""

import base64
import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ACCEPTED = "accepted"
TIME_MAX_S = 200


@dataclass(frozen=True)
class Judge:
    command: tuple[str, ...]
    environment: Mapping[str, str]

    def verdicts(self, cases: Iterable[Mapping[str, object]]) -> list[str]:
        """``accepted``, or ``refused: why``, for each case."""
        lines = [json.dumps(_plain(case)) for case in cases]
        done = subprocess.run(
            self.command,
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            text=True,
            timeout=TIME_MAX_S,
            env=self.environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        verdicts = done.stdout.splitlines()
        assert len(verdicts) == len(lines)
        assert all(verdict == ACCEPTED or verdict.startswith("refused: ") for verdict in verdicts)
        return verdicts

    def accepts(self, cases: Iterable[Mapping[str, object]]) -> int:
        """How many: all of them, each."""
        verdicts = self.verdicts(cases)
        assert set(verdicts) == {ACCEPTED}
        return len(verdicts)

    def refuses(self, cases: Iterable[Mapping[str, object]]) -> int:
        """How many: all of them, each."""
        verdicts = self.verdicts(cases)
        assert verdicts
        assert ACCEPTED not in verdicts, f"case {verdicts.index(ACCEPTED)}"
        return len(verdicts)


def project_folder() -> Path:
    return Path(__file__).parent.parent.parent


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
