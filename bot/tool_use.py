"""The tool loop's one step: what a model asked of tools is done, or a person is asked first.

Reading tools run side by side. What changes something waits for a person's approval, bound to exactly these arguments, which is
good once, and runs out. Each use is on RoadChain before it leaves and after it came back; one that a crash cut off is looked
for at the service, and never done a second time.
"""

import asyncio
from collections.abc import Coroutine, Sequence, Set
from dataclasses import replace
from typing import Any

from adapters.messages import Message, ToolCall, ToolCallId, ToolResult
from bot.approvals import allowed_before, approver_of, digest, question, refusal_for_model
from bot.paying_tools import Asked, call_tools, closing, price_of_use
from bot.payloads import encode_message, encode_said
from bot.platforms.base import Reply, ToolStep
from bot.run import Run, Suspended, record, rules_in
from bot.story import Approval, Story, ToolUse
from integrations.tools.base import Tool, ToolError, Unknown, Use, Where
from ledger.actions import (
    Action,
    ApprovalAsked,
    ApprovalExpired,
    ApprovalGiven,
    ApprovalShown,
    ToolAnswered,
    ToolCalled,
)

APPROVAL_PARTS = 1_000
"""Questions are marked at the platform by part numbers from here on, answers by those below."""

NO_SUCH_TOOL = "a tool that is not there"

UNKNOWN = "The outcome of this call is unknown: it was cut off. Do not repeat it; tell the person."


async def use_tools(story: Story, run: Run) -> Story:
    """Raises ``Suspended`` where a person has to decide first, ``PlatformError`` where they could not be asked."""
    story = await _read(story, run)
    for call in story.tools_open:
        story = await _ask(story, run, call)
    for call in story.tools_open:
        story = await _write(story, run, call)
    waiting = [approval for call in story.tools_open if (approval := story.approval_of(call)) is not None]
    if waiting and not run.signs.stop.is_set():
        await run.screen.wait()
        numbers = frozenset(approval.asked.number for approval in waiting)
        raise Suspended(min(approval.asked.expires_us for approval in waiting), numbers)
    return await _all_failed(story, run, story.tools_open, "The person stopped this.") if waiting else story


async def _read(story: Story, run: Run) -> Story:
    """What only reads, what there is no tool for, and what is over the limit. One that a crash cut off is read again."""
    calls = [call for call in story.tools_open if not _changes(run, call)]
    left = run.house.limits.tool_calls_max - len(story.tools)
    new = [call for call in calls if story.use_of(call) is None]
    over = {call.id for call in new[max(0, left) :]}
    story = await _begun(story, run, new, over)
    # Of those that are not to be used there is a result already.
    calls = [call for call in calls if call in story.tools_open]
    for call in calls:
        await run.screen.tool(_step(story, run, call))
    results = await _until_stopped(run, [_result(story, run, call) for call in calls])
    return await _answered(story, run, list(zip(calls, results, strict=True)))


async def _begun(story: Story, run: Run, calls: Sequence[ToolCall], over: Set[ToolCallId]) -> Story:
    """On record as about to be used; with those that are not to be, which are recorded together with their answer: so that no
    crash leaves one that looks as if it had begun."""
    uses = [(call, *use) for call, use in zip(calls, _uses(story, run, calls), strict=True)]
    if over:
        reason = f"No more than {run.house.limits.tool_calls_max} tools are used for one answer."
        refused = [entry for use in uses if use[0].id in over for entry in _not_used(story, use, reason)]
        story = await record(story, run, *refused)
        await _show_failed(story, run, [call for call in calls if call.id in over])
    within = [use for use in uses if use[0].id not in over]
    if not within:
        return story
    asked = story
    story = await call_tools(story, run, within, lambda use, reason: _not_used(asked, use, reason))
    await _show_failed(story, run, [call for call, _, _ in within if call not in story.tools_open])
    return story


def _not_used(story: Story, use: Asked, reason: str) -> tuple[tuple[Action, bytes], ...]:
    call, called, body = use
    answered = ToolAnswered(story.attempts[-1].called.attempt, call.id, failed=True)
    return (called, body), (answered, encode_message(Message("tool", (_failed(call, reason),))))


async def _show_failed(story: Story, run: Run, calls: Sequence[ToolCall]) -> None:
    for call in calls:
        await run.screen.tool(replace(_step(story, run, call), state="failed"))


def _uses(story: Story, run: Run, calls: Sequence[ToolCall]) -> list[tuple[ToolCalled, bytes]]:
    return [(_called(story, run, call), encode_message(Message("assistant", (call,)))) for call in calls]


async def _result(story: Story, run: Run, call: ToolCall) -> ToolResult:
    if run.house.toolbox.find(call.name) is None:
        return _failed(call, f"There is no tool named {call.name}.")
    return await run.house.toolbox.use(_use(story, call))


async def _until_stopped(run: Run, work: Sequence[Coroutine[Any, Any, ToolResult]]) -> list[ToolResult | None]:
    """All of it side by side; None for what the person did not wait for."""
    if not work:
        return []
    tasks = [asyncio.create_task(one) for one in work]
    done = asyncio.create_task(asyncio.wait(tasks))
    stopping = asyncio.create_task(run.signs.stop.wait())
    try:
        await asyncio.wait({done, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (done, stopping, *tasks):
            task.cancel()
        await asyncio.gather(done, stopping, *tasks, return_exceptions=True)
    return [None if task.cancelled() else task.result() for task in tasks]


async def _ask(story: Story, run: Run, call: ToolCall) -> Story:
    """See that a person was asked about this call, and that the question is where they can see it."""
    approval = story.approval_of(call)
    if approval is None and story.use_of(call) is None and (tool := run.house.toolbox.find(call.name)) is not None:
        story = await _put_question(story, run, call, tool)
        approval = story.approval_of(call)
    if approval is None or approval.shown or approval.decision:
        return story
    part, turn, to = APPROVAL_PARTS + approval.asked.number, story.scope.turn, story.asked.address
    presence = await run.platform.find(to, turn, part) if approval.inherited else "absent"
    if presence != "there":
        said = approval.said
        await run.platform.send(to, turn, part, Reply("notice", said.text, files=said.files, buttons=said.buttons))
    return await record(story, run, (ApprovalShown(approval.asked.number), None))


async def _put_question(story: Story, run: Run, call: ToolCall, tool: Tool) -> Story:
    limits, turn, number = run.house.limits, story.scope.turn, len(story.approvals) + 1
    if len(story.tools) >= limits.tool_calls_max:
        return await _all_failed(
            story, run, [call], f"No more than {limits.tool_calls_max} tools are used for one answer."
        )
    try:
        preview = await run.house.toolbox.preview(_use(story, call))
    except ToolError as error:
        return await _all_failed(story, run, [call], error.sentence)
    rules = await rules_in(story, run)
    approver = approver_of(call.name, preview, rules)
    expires_us = run.house.clock() + limits.approval_s * 1_000_000
    asked = ApprovalAsked(
        number, story.attempts[-1].called.attempt, call.id, call.name, digest(call), approver, expires_us
    )
    standing = allowed_before(call, story.scope.actor, approver, rules, run.house.clock())
    # What others wrote may have made the model ask for this: then no permission of before counts.
    doubtful = bool(standing) and (
        story.has_read_others(run.house.toolbox.own) or await run.past.has_others(story, run.house, call.name)
    )
    price = await price_of_use(story, run, call.name)
    say = run.house.desk.say
    said = question(call, preview, approver, turn, number, limits.approval_s, say, doubtful=doubtful, price=price)
    if standing and not doubtful:
        given = ApprovalGiven(number, asked.arguments, standing)
        return await record(story, run, (asked, encode_said(said)), (given, None))
    return await record(story, run, (asked, encode_said(said)))


async def _write(story: Story, run: Run, call: ToolCall) -> Story:
    """Do what was approved, once. What is not decided yet is left open."""
    use, approval = story.use_of(call), story.approval_of(call)
    if use is not None:
        return await _look(story, run, call, use)
    if approval is None:
        return story
    decision = approval.decision
    if not decision and approval.asked.expires_us <= run.house.clock():
        story, decision = await record(story, run, (ApprovalExpired(approval.asked.number), None)), "expired"
    if not decision:
        return story
    if decision != "given" or not _still(approval, call):
        # An approval of something else is none.
        why = refusal_for_model("changed" if decision == "given" else decision)
        return await _all_failed(story, run, [call], why)
    story = await _begun(story, run, [call], frozenset())
    if call not in story.tools_open:
        return story
    await run.screen.tool(_step(story, run, call))
    # It is not broken off where the person says stop: then nobody would know what became of it.
    return await _answered(story, run, [(call, await run.house.toolbox.use(_use(story, call)))])


def _still(approval: Approval, call: ToolCall) -> bool:
    """Whether what would be done is what was approved."""
    return approval.asked.arguments == digest(call)


async def _look(story: Story, run: Run, call: ToolCall, use: ToolUse) -> Story:
    """A crash came between the call and its result. The service is asked; where it cannot tell, the person is told so."""
    try:
        found = await run.house.toolbox.look(_use(story, call))
    except Unknown:
        return await _all_failed(story, run, [call], UNKNOWN)
    if found is None:  # it certainly did not take place, and the approval stands
        found = await run.house.toolbox.use(_use(story, call))
    return await _answered(story, run, [(call, found)])


async def _all_failed(story: Story, run: Run, calls: Sequence[ToolCall], sentence: str) -> Story:
    new = [call for call in calls if story.use_of(call) is None]
    if new:
        uses = [(call, *use) for call, use in zip(new, _uses(story, run, new), strict=True)]
        story = await record(story, run, *(entry for use in uses for entry in _not_used(story, use, sentence)))
        await _show_failed(story, run, new)
    return await _answered(story, run, [(call, _failed(call, sentence)) for call in calls if call not in new])


async def _answered(story: Story, run: Run, results: Sequence[tuple[ToolCall, ToolResult | None]]) -> Story:
    entries: list[tuple[Action, bytes | None]] = []
    for call, came in results:
        result = _failed(call, "The person stopped this.") if came is None else came
        await run.screen.tool(replace(_step(story, run, call), state="failed" if result.failed else "done"))
        answered = ToolAnswered(story.attempts[-1].called.attempt, call.id, result.failed)
        entries += [
            *closing(story, call, done=not result.failed),
            (answered, encode_message(Message("tool", (result,)))),
        ]
    return await record(story, run, *entries) if entries else story


def _changes(run: Run, call: ToolCall) -> bool:
    tool = run.house.toolbox.find(call.name)
    return tool is not None and tool.spec.effect == "write"


def _called(story: Story, run: Run, call: ToolCall) -> ToolCalled:
    return ToolCalled(story.attempts[-1].called.attempt, call.id, call.name, "write" if _changes(run, call) else "read")


def _use(story: Story, call: ToolCall) -> Use:
    mark = f"{story.scope.turn}/{story.attempts[-1].called.attempt}/{call.id}"
    asked = story.asked.address
    where = Where(asked.platform, asked.workspace, asked.channel, asked.thread, asked.person)
    return Use(call, mark, story.scope.workspace, story.scope.actor, where=where)


def _step(story: Story, run: Run, call: ToolCall) -> ToolStep:
    # A name that no tool has is whatever the model says, an address as well.
    title = call.name if run.house.toolbox.find(call.name) is not None else run.house.desk.say(NO_SUCH_TOOL)
    return ToolStep(f"{story.attempts[-1].called.attempt}/{call.id}", title, "running")


def _failed(call: ToolCall, sentence: str) -> ToolResult:
    return ToolResult(call.id, sentence, True)
