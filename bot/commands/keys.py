"""Keys for providers of models, brought in chat: by a form, never in a message.

A message is recorded before it is read. So a key that is written into one is taken out of it before that, and its writer is told
to revoke it: the platform has it all the same.
"""

from collections.abc import Mapping

from adapters.messages import ProviderName
from bot.commands.base import Asking, Command, Desk, Filling, FormOf, Result
from bot.connections import try_key
from bot.platforms.base import Button, Choice, Field, Form
from bot.secret import Secret
from bot.vault import KeyOwner
from ledger.actions import KeyAdded, KeyRemoved

PROVIDERS = ("openai", "anthropic", "google", "xai", "huggingface", "blackroad")
KEY_CHARACTERS_MAX = 4096
WITHHELD = "(withheld)"
MINE, EVERYBODY = "mine", "workspace"

HOW = "`/keys add` asks for a key in private; `/keys remove PROVIDER` removes yours."
NO_VAULT = "No keys can be brought to this CarPool."
WRITTEN = (
    "If there was a key in that message, revoke it at its provider and make a new one: it has been seen here. What stood behind "
    f"the provider's name was not kept. {HOW}"
)
REFUSED = "{provider} refuses this key, so it was not kept."
UNCHECKED = "{provider} could not be asked just now whether it takes it."
NOT_YOURS = "Only an admin of this workspace can bring or remove its keys; your own you can."
_WHOSE = ("everybody here", "this workspace", "you alone")


def known(word: str) -> bool:
    """Whether a word behind ``/keys`` may be recorded: whatever else stands there may be a key."""
    return word in ("add", "remove", MINE, EVERYBODY, *PROVIDERS)


async def _keys(asking: Asking, desk: Desk) -> Result:
    what, *words = asking.arguments.split() or [""]
    if WITHHELD in asking.arguments:
        return Result(WRITTEN)
    if what == "add":
        return await _offer(asking, desk, words)
    if what == "remove":
        return await _remove(asking, desk, words)
    return Result(
        await _listed(asking, desk), buttons=(Button("Add a key", "keys add"),) if desk.connections.vault else ()
    )


async def _listed(asking: Asking, desk: Desk) -> str:
    shown = await desk.connections.shown(asking.scope)
    lines = [
        f"- {key.provider}, for {_WHOSE[key.owner.count('/')]}"
        + (f", {key.masked}" if key.masked else ": it cannot be opened, so remove it and add it again")
        for key in shown
    ]
    head = ["Keys that answer you here, the nearest first:", "", *lines, ""] if lines else []
    return "\n".join([*head, HOW if desk.connections.vault else NO_VAULT])


async def _offer(asking: Asking, desk: Desk, words: list[str]) -> Result:
    """Where the platform has opened the form already, this is not run."""
    if desk.connections.vault is None:
        return Result(NO_VAULT)
    invocation = " ".join(("keys add", *words[:1]))
    return Result(
        "A key is asked for in private: press the button, or `/keys add`.", buttons=(Button("Add a key", invocation),)
    )


async def _remove(asking: Asking, desk: Desk, words: list[str]) -> Result:
    vault = desk.connections.vault
    if vault is None:
        return Result(NO_VAULT)
    if not words or words[0] not in PROVIDERS:
        return Result(
            f"`/keys remove PROVIDER`: one of {', '.join(PROVIDERS)}; `workspace` behind it for the workspace's key."
        )
    everybody = EVERYBODY in words
    if everybody and not asking.rules.may(asking.role, "workspace_keys"):
        return Result(NOT_YOURS)
    provider = ProviderName(words[0])
    if not await vault.drop(_owner(asking, everybody), provider):
        return Result(f"There is no such key for {provider}: `/keys` shows what there is.")
    said = f"The key for {provider} is removed. It is still good at {provider}: revoke it there if it must not be."
    return Result(said, (KeyRemoved("provider", "", provider),))


async def _ask(asking: Asking, desk: Desk) -> Form | None:
    what, *words = asking.arguments.split() or [""]
    if what != "add" or desk.connections.vault is None or not asking.rules.may(asking.role, "own_keys"):
        return None
    wanted = words[0] if words and words[0] in PROVIDERS else PROVIDERS[0]
    whose = [Choice(MINE, "me alone")]
    if asking.rules.may(asking.role, "workspace_keys"):
        whose.append(Choice(EVERYBODY, "everybody in this workspace"))
    return Form(
        "keys",
        "Add a key",
        (
            Field(
                "provider", "Provider", "choice", value=wanted, choices=tuple(Choice(name, name) for name in PROVIDERS)
            ),
            Field("key", "Key", "secret", "It is sealed, and never shown again but for its last characters."),
            Field("whose", "It answers", "choice", value=MINE, choices=tuple(whose)),
        ),
    )


async def _fill(asking: Asking, desk: Desk, values: Mapping[str, str]) -> Filling:
    vault, everybody = desk.connections.vault, values.get("whose") == EVERYBODY
    if vault is None:
        return Filling(NO_VAULT)
    if not asking.rules.may(asking.role, "workspace_keys" if everybody else "own_keys"):
        return Filling(NOT_YOURS)
    given = values.get("key", "").strip()
    errors: dict[str, str] = {}
    if values.get("provider") not in PROVIDERS:
        errors["provider"] = "Choose one of the providers."
    if not 0 < len(given) <= KEY_CHARACTERS_MAX or not given.isascii() or not given.isprintable() or " " in given:
        errors["key"] = f"A key is one word of plain characters, {KEY_CHARACTERS_MAX:,} at the most."
    if errors:
        return Filling("", errors=errors)
    provider, key = ProviderName(values["provider"]), Secret(given)
    verdict = await try_key(desk.connections.build, provider, key)
    if verdict == "refused":
        return Filling("", errors={"key": REFUSED.format(provider=provider)})
    await vault.keep(_owner(asking, everybody), provider, key)
    whose = "Everybody in this workspace is" if everybody else "You are"
    said = (
        f"The key {key.masked} for {provider} is kept, sealed. {whose} answered with it where no nearer key is there."
    )
    if verdict == "not asked":
        said += " " + UNCHECKED.format(provider=provider)
    return Filling(said, (KeyAdded("provider", "", provider),))


def _owner(asking: Asking, everybody: bool) -> KeyOwner:
    return KeyOwner(asking.scope.workspace, None if everybody else asking.scope.actor)


def _about_keys(arguments: str) -> bool:
    return not arguments or arguments.partition(" ")[0] in ("add", "remove")


KEYS = Command(
    "keys",
    "keys [add | remove PROVIDER]",
    "shows whose keys answer you, adds one in private, or removes one",
    _keys,
    _about_keys,
    private=True,
    form=FormOf(_ask, _fill),
    home="Keys",
)
