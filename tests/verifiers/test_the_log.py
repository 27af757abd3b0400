"""The log that the verifiers are shown is as large and as varied as they are told."""

import json
from collections import Counter

from ledger.actions import ACTIONS
from ledger.verify import read_key, verify_folder
from tests.verifiers.big_log import SIZE_MIN, BigLog
from tests.verifiers.money_drafts import LATER
from tests.verifiers.turn_drafts import WORKSPACES


def test_the_log_has_entries_of_all_actions_and_moves_money_in_many_workspaces(log: BigLog) -> None:
    entries = [json.loads(leaf) for leaf in log.leaves]
    assert len(entries) >= SIZE_MIN
    assert {entry["action"] for entry in entries} == set(ACTIONS)
    moved = Counter(entry["workspace"] for entry in entries if entry["postings"])
    later = {workspace: moved.pop(workspace) for workspace in list(moved) if workspace.endswith(LATER)}
    assert len(moved) == len(later) == WORKSPACES
    assert min(moved.values()) > 300
    assert min(later.values()) >= 8
    currencies = {posting["currency"] for entry in entries for posting in entry["postings"]}
    assert currencies == {"RC", "EUR"}


def test_our_own_verifier_accepts_it_too(log: BigLog) -> None:
    assert verify_folder(log.folder, [read_key(log.key.text())]).checkpoint.root == log.root
