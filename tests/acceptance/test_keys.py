"""`carpool keys` as a process: keys come in privately, are sealed at rest, and show no more than their last characters."""

from pathlib import Path

import pytest

from tests.processes import Home

KEY = "sk-crimson-0123456789abcdef-wxyz"
VAULT = "ab" * 32


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_a_key_is_added_listed_sealed_anew_and_removed(home: Home) -> None:
    added = await home.run("keys", "add", "--unchecked", "openai", given=f"{KEY}\n".encode())
    assert (added.status, added.err) == (0, "")
    assert "The key …wxyz for openai is kept, sealed." in added.out
    listed = await home.run("keys", "list")
    assert listed.out.split() == ["house", "openai", "…wxyz"]
    assert "1 keys are sealed anew. The old key is gone." in (await home.run("keys", "rotate")).out
    assert (await home.run("keys", "list")).out == listed.out
    assert (await home.run("keys", "remove", "openai")).status == 0
    assert (await home.run("keys", "list")).err.startswith("There are no keys yet.")
    names = [entry["action"] for entry in home.entries()]
    assert names == [
        "ledger.created",
        *("command.run", "key.added"),
        "command.run",
        *("command.run", "key.removed"),
    ]


async def test_a_key_stands_in_no_file_and_in_no_output(home: Home) -> None:
    outputs = [
        await home.run("keys", "add", "--unchecked", "openai", "--of", "slack", "T1", "U1", given=KEY.encode()),
        await home.run("keys", "list"),
        await home.run("keys", "add", "--unchecked", "openai", given=f"{KEY} and more".encode()),
        await home.run("chat", given=b"hello"),
        await home.run("ledger", "entries", "--json"),
    ]
    assert [done.status for done in outputs] == [0, 0, 2, 0, 0]
    assert not [done for done in outputs if "crimson" in done.out + done.err]
    files = [path for path in home.folder.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert not [path for path in files if b"crimson" in path.read_bytes()]


async def test_a_key_whose_provider_does_not_answer_is_kept_and_that_is_said(home: Home) -> None:
    home.settings = {"CARPOOL_BLACKROAD_BASE_URL": "http://127.0.0.1:1/v1", "CARPOOL_BLACKROAD_MODELS": "m"}
    added = await home.run("keys", "add", "blackroad", given=KEY.encode())
    assert added.status == 0
    assert "blackroad could not be asked just now whether it takes it." in added.out
    assert (await home.run("keys", "list")).out.split()[1] == "blackroad"


async def test_with_the_vaults_key_in_a_setting_there_is_no_file_of_it(home: Home) -> None:
    home.settings = {"CARPOOL_VAULT_KEY": VAULT}
    assert (await home.run("keys", "add", "--unchecked", "openai", given=KEY.encode())).status == 0
    assert not list(home.folder.rglob("vault.key"))
    assert VAULT not in (await home.run("config")).out
    home.settings = {"CARPOOL_VAULT_KEY": "cd" * 32}
    lost = await home.run("keys", "list")
    assert (lost.status, "cannot be opened" in lost.out) == (1, True)
    home.settings = {"CARPOOL_VAULT_KEY": f"{'cd' * 32},{VAULT}"}
    assert "1 keys are sealed anew. Take the old key out" in (await home.run("keys", "rotate")).out
    home.settings = {"CARPOOL_VAULT_KEY": "cd" * 32}
    assert "…wxyz" in (await home.run("keys", "list")).out


@pytest.mark.parametrize(
    ("arguments", "given", "status", "sentence"),
    [
        (("add", "--unchecked", "openai"), b"", 2, "A key has from 1 to 4,096 characters."),
        (("add", "--unchecked", "openai"), b"x" * 5_000, 2, "A key has from 1 to 4,096 characters."),
        (("add", "--unchecked", "openai"), b"two words", 2, "it should be one word of plain characters"),
        (("add", "--unchecked", "openai", "--of", "slack"), b"key", 2, "--of takes a platform, a workspace"),
        (("add", "nobody"), b"key", 2, "invalid choice"),
        (("remove", "openai"), b"", 1, "There are no keys yet."),
        (("rotate",), b"", 2, "There are no keys yet"),
    ],
    ids=str,
)
async def test_what_cannot_be_done_is_said_and_changes_nothing(
    home: Home, arguments: tuple[str, ...], given: bytes, status: int, sentence: str
) -> None:
    done = await home.run("keys", *arguments, given=given)
    assert (done.status, sentence in done.err) == (status, True)
    assert not home.ledger.exists()
