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
REFUSED = "{0} refuses this key, so it was not kept."
UNCHECKED = "{0} could not be asked just now whether it takes it."
FOR_YOU = "The key {0} for {1} is kept, sealed. You are answered with it where no nearer key is there."
FOR_EVERYBODY = (
    "The key {0} for {1} is kept, sealed. Everybody in this workspace is answered with it where no nearer key is there."
)
NOT_YOURS = "Only an admin of this workspace can bring or remove its keys; your own you can."
_WHOSE = {0: "for everybody here", 1: "for this workspace", 2: "for you alone"}


def known(word: str) -> bool:
    """Whether a word behind ``/keys`` may be recorded: whatever else stands there may be a key."""
    return word in ("add", "remove", MINE, EVERYBODY, *PROVIDERS)


async def _keys(asking: Asking, desk: Desk) -> Result:
    what, *words = asking.arguments.split() or [""]
    if WITHHELD in asking.arguments:
        return Result(desk.say(WRITTEN))
    if what == "add":
        return await _offer(asking, desk, words)
    if what == "remove":
        return await _remove(asking, desk, words)
    return Result(
        await _listed(asking, desk),
        buttons=(Button(desk.say("Add a key"), "keys add"),) if desk.connections.vault else (),
    )


async def _listed(asking: Asking, desk: Desk) -> str:
    shown = await desk.connections.shown(asking.scope)
    lines = [
        f"- {key.provider}, {desk.say(_WHOSE[key.owner.count('/')])}"
        + (f", {key.masked}" if key.masked else desk.say(": it cannot be opened, so remove it and add it again"))
        for key in shown
    ]
    head = [desk.say("Keys that answer you here, the nearest first:"), "", *lines, ""] if lines else []
    return "\n".join([*head, desk.say(HOW) if desk.connections.vault else desk.say(NO_VAULT)])


async def _offer(asking: Asking, desk: Desk, words: list[str]) -> Result:
    """Where the platform has opened the form already, this is not run."""
    if desk.connections.vault is None:
        return Result(desk.say(NO_VAULT))
    invocation = " ".join(("keys add", *words[:1]))
    return Result(
        desk.say("A key is asked for in private: press the button, or `/keys add`."),
        buttons=(Button(desk.say("Add a key"), invocation),),
    )


async def _remove(asking: Asking, desk: Desk, words: list[str]) -> Result:
    vault = desk.connections.vault
    if vault is None:
        return Result(desk.say(NO_VAULT))
    if not words or words[0] not in PROVIDERS:
        return Result(
            desk.say(
                "`/keys remove PROVIDER`: one of {0}; `workspace` behind it for the workspace's key.",
                ", ".join(PROVIDERS),
            )
        )
    everybody = EVERYBODY in words
    if everybody and not asking.rules.may(asking.role, "workspace_keys"):
        return Result(desk.say(NOT_YOURS))
    provider = ProviderName(words[0])
    if not await vault.drop(_owner(asking, everybody), provider):
        return Result(desk.say("There is no such key for {0}: `/keys` shows what there is.", provider))
    said = desk.say("The key for {0} is removed. It is still good at {0}: revoke it there if it must not be.", provider)
    return Result(said, (KeyRemoved("provider", "", provider),))


async def _ask(asking: Asking, desk: Desk) -> Form | None:
    what, *words = asking.arguments.split() or [""]
    if what != "add" or desk.connections.vault is None or not asking.rules.may(asking.role, "own_keys"):
        return None
    wanted = words[0] if words and words[0] in PROVIDERS else PROVIDERS[0]
    whose = [Choice(MINE, desk.say("me alone"))]
    if asking.rules.may(asking.role, "workspace_keys"):
        whose.append(Choice(EVERYBODY, desk.say("everybody in this workspace")))
    return Form(
        "keys",
        desk.say("Add a key"),
        (
            Field(
                "provider",
                desk.say("Provider"),
                "choice",
                value=wanted,
                choices=tuple(Choice(name, name) for name in PROVIDERS),
            ),
            Field(
                "key",
                desk.say("Key"),
                "secret",
                desk.say("It is sealed, and never shown again but for its last characters."),
            ),
            Field("whose", desk.say("It answers"), "choice", value=MINE, choices=tuple(whose)),
        ),
    )


async def _fill(asking: Asking, desk: Desk, values: Mapping[str, str]) -> Filling:
    vault, everybody = desk.connections.vault, values.get("whose") == EVERYBODY
    if vault is None:
        return Filling(desk.say(NO_VAULT))
    if not asking.rules.may(asking.role, "workspace_keys" if everybody else "own_keys"):
        return Filling(desk.say(NOT_YOURS))
    given = values.get("key", "").strip()
    errors: dict[str, str] = {}
    if values.get("provider") not in PROVIDERS:
        errors["provider"] = desk.say("Choose one of the providers.")
    if not 0 < len(given) <= KEY_CHARACTERS_MAX or not given.isascii() or not given.isprintable() or " " in given:
        errors["key"] = desk.say("A key is one word of plain characters, {0:,} at the most.", KEY_CHARACTERS_MAX)
    if errors:
        return Filling("", errors=errors)
    provider, key = ProviderName(values["provider"]), Secret(given)
    verdict = await try_key(desk.connections.build, provider, key)
    if verdict == "refused":
        return Filling("", errors={"key": desk.say(REFUSED, provider)})
    await vault.keep(_owner(asking, everybody), provider, key)
    kept = FOR_EVERYBODY if everybody else FOR_YOU
    said = desk.say(kept, key.masked, provider)
    if verdict == "not asked":
        said += " " + desk.say(UNCHECKED, provider)
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
