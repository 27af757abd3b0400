"""Who says who may spend a workspace's money: its owner, and nobody whom the owner did not name."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.platforms.base import Filled, Standing
from ledger.actions import SettingChanged
from ledger.credit_actions import CreditRefused
from ledger.errors import Code
from tests.house import ME, Open, RecordingPlatform, asks, running_house

REFUSED = (
    "Only an owner of this workspace says who is a billing admin of it, and who is none any more. Nothing was changed."
)


async def changes(open_: Open) -> list[tuple[str, str]]:
    actions = [item.entry.action for item in await open_.all()]
    set_ = [(item.setting, item.value) for item in actions if isinstance(item, SettingChanged)]
    return set_ + [(item.kind, item.code) for item in actions if isinstance(item, CreditRefused)]


@pytest.mark.parametrize(("standing", "given"), [("owner", True), ("admin", False)])
async def test_an_owner_names_billing_admins_and_an_admin_does_not(
    tmp_path: Path, standing: Standing, given: bool
) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform) as open_:
        await open_.ask(replace(asks(f"/settings role {ME.person} billing_admin"), standing=standing))
        form = Filled(ME, "f1", standing, "settings", {"person": "another", "role": "billing_admin"})
        taken = await open_.door.fill(form)
        recorded = await changes(open_)
    if given:
        assert recorded == [("role", "billing_admin")] * 2
        assert taken.text == "`another` is billing admin here."
    else:
        assert recorded == [("settings.role", Code.UNAUTHORISED.value)] * 2
        assert (platform.texts, taken.text) == ([REFUSED], REFUSED)


@pytest.mark.parametrize("role", ["none", "member", "admin"])
async def test_an_admin_takes_it_from_nobody_and_an_owner_does(tmp_path: Path, role: str) -> None:
    platform = RecordingPlatform()
    async with running_house(tmp_path, platform) as open_:
        for event, standing, given in (("1", "owner", "billing_admin"), ("2", "admin", role), ("3", "owner", role)):
            await open_.ask(replace(asks(f"/settings role another {given}", event), standing=standing))  # type: ignore[arg-type]  # a Standing
        recorded = await changes(open_)
    kept = "" if role == "none" else role
    assert recorded == [("role", "billing_admin"), ("role", kept), ("settings.role", Code.UNAUTHORISED.value)]
    assert platform.texts[1] == REFUSED
