"""What a tool would change is asked about at the terminal, and never done where nobody can be asked."""

from pathlib import Path

import pytest

from adapters.scripted import answer
from bot.platforms.terminal import Session, TerminalPlatform, _ask, answer_pipe
from integrations.tools.base import Toolbox
from tests.house import RecordingTool, running_house
from tests.unit.bot.test_approvals import SCRIPT, TWO


async def test_a_pipe_refuses_what_needs_an_approval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    platform, tool = TerminalPlatform(None), RecordingTool("write")
    async with running_house(tmp_path, platform, SCRIPT, toolbox=Toolbox({"look": tool})) as opened:
        assert await answer_pipe(opened.intake, platform, "look\n") == 0
    assert tool.calls == 0
    printed = capsys.readouterr()
    assert printed.out == "I did it.\n"
    assert "**Look at it**" in printed.err


@pytest.mark.parametrize(
    ("answers", "calls"), [([True, True], 2), ([True, False], 1), ([False, True], 1), ([False, False], 0)]
)
async def test_each_of_several_writes_is_asked_about(tmp_path: Path, answers: list[bool], calls: int) -> None:
    platform, tool, left = TerminalPlatform(None), RecordingTool("write"), iter(answers)

    async def approves() -> bool:
        return next(left)

    toolbox = Toolbox({"look": tool, "see": RecordingTool("read")})
    async with running_house(tmp_path, platform, [TWO, answer("So.")], toolbox=toolbox) as opened:
        assert await _ask(opened.intake, platform, Session.new(), "look", approves) == "answered"
    assert tool.calls == calls
    assert next(left, None) is None
