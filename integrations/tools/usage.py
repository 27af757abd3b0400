"""What the asking person has spent. It reads, and of nobody else."""

from collections.abc import Awaitable, Callable

from adapters.messages import ToolSpec
from integrations.tools.base import ReadTool, Use, parameters

NAME = "my_credit_use"
SPEC = ToolSpec(
    NAME,
    "Tells what answers have cost the person who asks, today and lately, and what limit there is for them. Of nobody else.",
    parameters({}),
    "read",
)


def usage_tool(tell: Callable[[Use], Awaitable[str]]) -> ReadTool:
    """``tell`` gives what is known of the asker, in words."""
    return ReadTool(SPEC, tell)
