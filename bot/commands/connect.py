"""Services that people connect, for tools: a token goes into a form, or they agree at the service; never in a message."""

import re
from collections.abc import Mapping

from bot.commands.base import Asking, Command, Desk, Filling, FormOf, Result
from bot.consent import CODE, STATE_AGE_S_MAX, NotConsented, Waiting
from bot.credentials import ConnectionShown
from bot.platforms.base import Button, Choice, Field, Form
from bot.secret import Secret
from bot.sentences import Sentences
from bot.services import Services, TokenRefused
from integrations.services import Service
from integrations.tools.base import ToolError

SERVICES = ("github", "gmail", "notion")
"""Every service that can be connected somewhere. Which are here, the settings say."""
TOKEN, MINE, EVERYBODY = "token", "mine", "workspace"
TOKEN_CHARACTERS_MAX = 4096
TERMINAL = "terminal"
WITHHELD = "(withheld)"

HOW = "`/connect SERVICE` connects one in private, `/disconnect SERVICE` forgets it."
NONE = "No service can be connected to this CarPool."
WRITTEN = (
    "If there was a token in that message, revoke it at its service and make a new one: it has been seen here. What stood "
    f"behind the service's name was not kept. {HOW}"
)
NOW_YOU = "{0} is connected{1}. You use it where no nearer connection is there."
NOW_EVERYBODY = "{0} is connected{1}. Everybody in this workspace uses it where no nearer connection is there."
NOT_YOURS = "Only an admin of this workspace can connect or disconnect a service for everybody in it; your own you can."
REFUSED = "{0} refuses this token, so it was not kept."
UNCHECKED = "{0} could not be asked just now whether it takes it."
NOT_BY_ALL, NOT_BY_YOU = "{0} is not connected for this workspace.", "{0} is not connected by you."
GONE = "{0} is disconnected, and takes what was kept no more."
FORGOTTEN = "{0} is disconnected. What was kept is still good at {0}: revoke it there if it must not be."
NO_WAY = (
    "{0} cannot lead you back here: the operator has to set CARPOOL_PUBLIC_URL to where the internet reaches "
    "`carpool web`."
)
BY_YOU, FOR_ALL = "connected by you", "connected for this workspace"
_PLAIN = re.compile(r"[!-~]+")


def known(word: str) -> bool:
    """Whether a word behind ``/connect`` may be recorded: whatever else stands there may be a token."""
    return word in (*SERVICES, TOKEN, MINE, EVERYBODY) or CODE.fullmatch(word) is not None


async def _connect(asking: Asking, desk: Desk) -> Result:
    services, words = desk.services, asking.arguments.split()
    if WITHHELD in words:
        return Result(desk.say(WRITTEN))
    if services is None or not services.table:
        return Result(desk.say(NONE))
    if not words:
        return await _listed(asking, services, desk.say)
    service = services.table.get(words[0])
    if service is None:
        return Result(
            desk.say(
                "`/connect SERVICE`: one of {0}; `workspace` behind it for everybody here.", ", ".join(services.table)
            )
        )
    everybody = EVERYBODY in words
    if not asking.rules.may(asking.role, "workspace_keys" if everybody else "own_keys"):
        return Result(desk.say(NOT_YOURS))
    code = next((word for word in words[1:] if word not in (TOKEN, MINE, EVERYBODY)), "")
    try:
        if code and service.oauth is not None:
            return await _finish(asking, desk, services, service, code)
        if service.oauth is None or TOKEN in words:
            return _offer(service, everybody, desk.say)
        if asking.address.platform == TERMINAL and service.oauth.device_url:
            return await _by_device(asking, desk, services, service, everybody)
        return await _set_out(asking, services, service, everybody, desk.say)
    except NotConsented as refused:
        return Result(desk.say.of(refused.told))
    except ToolError as error:
        return Result(desk.say("{0} Nothing was connected.", error.told))


async def _listed(asking: Asking, services: Services, say: Sentences) -> Result:
    """What there is, whose, and what can be done about it."""
    shown = await services.credentials.shown(asking.scope.workspace, asking.scope.actor)
    lines, buttons = list[str](), list[Button]()
    for service in services.table.values():
        mine = next((one for one in shown if one.service == service.name and one.person), None)
        teams = next((one for one in shown if one.service == service.name and not one.person), None)
        said = [*([_state(mine, BY_YOU, say)] if mine else []), *([_state(teams, FOR_ALL, say)] if teams else [])]
        lines.append(f"- {service.shown} (`{service.name}`): {'; '.join(said) or say('not connected')}")
        buttons.append(
            Button(say("Disconnect {0}", service.shown), f"disconnect {service.name}", "danger")
            if mine
            else Button(say("Connect {0}", service.shown), f"connect {service.name}")
        )
    return Result("\n".join([*lines, "", say(HOW)]), buttons=tuple(buttons))


def _state(shown: ConnectionShown, whose: str, say: Sentences) -> str:
    if not shown.masked:
        return say("{0}, and it cannot be opened: connect it again", say(whose))
    if not shown.account:
        return f"{say(whose)}, {shown.masked}"
    return say("{0} as `{1}`, {2}", say(whose), shown.account.replace("`", ""), shown.masked)


def _offer(service: Service, everybody: bool, say: Sentences) -> Result:
    """Where the platform has opened the form already, this is not run."""
    if not service.paste:
        return Result(say("{0} is connected by agreeing there: `/connect {1}`.", service.shown, service.name))
    invocation = " ".join(filter(None, ("connect", service.name, TOKEN, EVERYBODY if everybody else "")))
    return Result(
        say("A token is asked for in private: press the button, or `/{0}`.", invocation),
        buttons=(Button(say("Connect {0}", service.shown), invocation),),
    )


async def _set_out(asking: Asking, services: Services, service: Service, everybody: bool, say: Sentences) -> Result:
    platform = asking.address.platform
    back = await services.way.back(platform, service.oauth) if service.oauth is not None else ""
    if not back:
        return Result(say(NO_WAY, service.shown))
    scope = asking.scope
    url = services.consent.set_out(service.name, scope.workspace, scope.actor, back, everybody=everybody)
    link = services.way.there(platform, url)
    said = link if platform == TERMINAL else f"[{say('Agree at {0}', service.shown)}]({link})"
    return Result(
        say(
            "{0}\n\nThe link is for you alone, for {1} minutes. The page behind it shows a code: say it here, "
            "as `/connect {2} CODE`.",
            said,
            STATE_AGE_S_MAX // 60,
            service.name,
        )
    )


async def _finish(asking: Asking, desk: Desk, services: Services, service: Service, code: str) -> Result:
    may = asking.rules.may(asking.role, "workspace_keys")
    agreed = await services.consent.finish(service.name, asking.scope, code, may_for_everybody=may)
    connection = await services.keep_granted(
        service.name, asking.scope, agreed.grant, desk.clock() / 1_000_000, everybody=agreed.everybody
    )
    return Result(_done(service, connection.account, agreed.everybody, desk.say))


async def _by_device(asking: Asking, desk: Desk, services: Services, service: Service, everybody: bool) -> Result:
    came = await services.consent.by_device(service.name, asking.scope)
    if isinstance(came, Waiting):
        return Result(
            desk.say(
                "Open {0}, and type `{1}` there. Then say `/connect {2}` again. `/connect {2} token` asks for a "
                "token instead.",
                came.url,
                came.user_code,
                service.name,
            )
        )
    now_s = desk.clock() / 1_000_000
    connection = await services.keep_granted(service.name, asking.scope, came, now_s, everybody=everybody)
    return Result(_done(service, connection.account, everybody, desk.say))


def _done(service: Service, account: str, everybody: bool, say: Sentences) -> str:
    who = say(" as `{0}`", account.replace("`", "")) if account else ""
    return say(NOW_EVERYBODY if everybody else NOW_YOU, service.shown, who)


async def _ask(asking: Asking, desk: Desk) -> Form | None:
    words, services = asking.arguments.split(), desk.services
    service = services.table.get(words[0]) if services is not None and words else None
    if service is None or not service.paste or not asking.rules.may(asking.role, "own_keys"):
        return None
    # Where one can agree at the service, that is what is offered; and a code behind the name is none of a form's.
    if (service.oauth is not None and TOKEN not in words) or any(word not in _OPENS for word in words[1:]):
        return None
    whose = [Choice(MINE, desk.say("me alone"))]
    if asking.rules.may(asking.role, "workspace_keys"):
        whose.append(Choice(EVERYBODY, desk.say("everybody in this workspace")))
    wanted = EVERYBODY if EVERYBODY in words and len(whose) > 1 else MINE
    return Form(
        "connect",
        desk.say("Connect {0}", service.shown),
        (
            Field(
                "service",
                desk.say("Service"),
                "choice",
                value=service.name,
                choices=(Choice(service.name, service.shown),),
            ),
            Field(
                "token",
                desk.say("Token"),
                "secret",
                desk.say("It is sealed, and never shown again but for its last characters."),
            ),
            Field("whose", desk.say("It serves"), "choice", value=wanted, choices=tuple(whose)),
        ),
        desk.say("Connect"),
        service.paste,
    )


_OPENS = (TOKEN, MINE, EVERYBODY)


async def _fill(asking: Asking, desk: Desk, values: Mapping[str, str]) -> Filling:
    services, everybody = desk.services, values.get("whose") == EVERYBODY
    if services is None:
        return Filling(desk.say(NONE))
    if not asking.rules.may(asking.role, "workspace_keys" if everybody else "own_keys"):
        return Filling(desk.say(NOT_YOURS))
    given, service = values.get("token", "").strip(), services.table.get(values.get("service", ""))
    errors: dict[str, str] = {}
    if service is None or not service.paste:
        errors["service"] = desk.say("Choose one of the services.")
    if len(given) > TOKEN_CHARACTERS_MAX or not _PLAIN.fullmatch(given):
        errors["token"] = desk.say("A token is one word of plain characters, {0:,} at the most.", TOKEN_CHARACTERS_MAX)
    if errors or service is None:
        return Filling("", errors=errors)
    try:
        kept = await services.keep_pasted(service.name, asking.scope, Secret(given), everybody=everybody)
    except TokenRefused:
        return Filling("", errors={"token": desk.say(REFUSED, service.shown)})
    said = _done(service, kept.connection.account, everybody, desk.say)
    return Filling(said if kept.checked else f"{said} {desk.say(UNCHECKED, service.shown)}")


async def _disconnect(asking: Asking, desk: Desk) -> Result:
    services, words = desk.services, asking.arguments.split()
    if WITHHELD in words:
        return Result(desk.say(WRITTEN))
    if services is None:
        return Result(desk.say(NONE))
    name, everybody = words[0] if words else "", EVERYBODY in words
    if name not in (*SERVICES, *services.table):
        return Result(
            desk.say(
                "`/disconnect SERVICE`: `/connect` shows what is connected; `workspace` behind it for everybody's."
            )
        )
    if everybody and not asking.rules.may(asking.role, "workspace_keys"):
        return Result(desk.say(NOT_YOURS))
    gone = await services.disconnect(name, asking.scope, everybody=everybody)
    shown = services.table[name].shown if name in services.table else name
    if gone is None:
        return Result(desk.say(NOT_BY_ALL if everybody else NOT_BY_YOU, shown))
    return Result(desk.say(GONE if gone.revoked else FORGOTTEN, shown))


def _about_services(arguments: str) -> bool:
    return not arguments or arguments.split()[0] in SERVICES


def _about_one(arguments: str) -> bool:
    return bool(arguments) and arguments.split()[0] in SERVICES


CONNECT = Command(
    "connect",
    "connect [SERVICE [CODE]]",
    "shows which services I may use for you, or connects one in private",
    _connect,
    _about_services,
    private=True,
    form=FormOf(_ask, _fill),
    home="Connected services",
)
DISCONNECT = Command(
    "disconnect",
    "disconnect SERVICE",
    "forgets what a service was connected with",
    _disconnect,
    _about_one,
    private=True,
)
