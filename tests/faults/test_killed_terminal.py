"""`carpool chat`, ended with SIGKILL at each step of a turn and started again: answered once, or its asker told why."""

from pathlib import Path

from tests.processes import Home, steps_survived

KILLED = ("-m", "tests.faults.killed")
ANSWER = "Hello there."
NOTICES = ("and the answer is lost", "I cannot see whether it reached you")


async def killed_at(step: int, folder: Path) -> bool:
    """Whether the program was killed. What must be true after it is asserted here."""
    home = Home(folder)
    first = await home.run(str(step), "chat", given=b"What is it?", program=KILLED)
    assert first.status in (-9, 0)
    second = await home.run("chat", "--new", given=b"/model")
    assert second.status == 0, second.err
    entries = home.entries()
    asked = [entry["turn"] for entry in entries if entry["action"] == "message.received" and entry["kind"] == "message"]
    finished = [entry["turn"] for entry in entries if entry["action"] == "turn.finished"]
    assert all(finished.count(turn) == 1 for turn in asked)
    seen = first.out + second.err
    answers = seen.count(ANSWER)
    notices = sum(seen.count(notice) for notice in NOTICES)
    assert answers <= 1
    assert bool(asked) == bool(answers + notices), f"step {step}: {first} {second}"
    assert sum(entry["action"] == "model.called" for entry in entries) <= 1
    return first.status == -9


async def test_killed_at_each_step_a_question_is_answered_once_or_its_asker_told_why(tmp_path: Path) -> None:
    steps = await steps_survived(lambda step: killed_at(step, tmp_path / str(step)))
    # Before and after: genesis, received, claim, route, called, answered with its reply, post, sent with the end.
    assert steps >= 16
