"""What a write did is taken back, by what its own result says takes it back."""

from dataclasses import replace

from integrations.tools.base import Toolbox, Use


async def taken_back(box: Toolbox, use: Use) -> str:
    """Do it, and take it back as it was shown. Gives what is said of that; fails the test where one of it failed."""
    made = await box.use(use)
    assert not made.failed, made.content
    undo = box.undo_of(use.call, made)
    assert undo is not None, made.content
    back = replace(use, call=undo, mark=f"{use.mark}/undo")
    assert (await box.preview(back)).fields
    assert await box.look(back) is None, "it looks as if it were taken back already"
    done = await box.use(back)
    assert not done.failed, done.content
    return done.content
