"""Settings: from the environment, a ``.env``, a ``carpool.toml``, and defaults, in this order. Nothing else reads them.

All that is wrong is collected, each with what to do about it, so that one look shows everything.
"""

import io
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeAlias

from bot import readers
from bot.limits import Limits
from bot.lucidia.cards import ANTHROPIC_MODELS, GOOGLE_MODELS, HUGGINGFACE_MODELS, OPENAI_MODELS, XAI_MODELS
from bot.secret import Secret
from bot.settings import PREFIX, Setting, Settings, settings_table

TOML_FILE = "carpool.toml"
ENV_FILE = ".env"

MODELS_KNOWN: Mapping[str, tuple[str, ...]] = {
    "openai_models": OPENAI_MODELS,
    "anthropic_models": ANTHROPIC_MODELS,
    "google_models": GOOGLE_MODELS,
    "xai_models": XAI_MODELS,
    "huggingface_models": HUGGINGFACE_MODELS,
}
MODELS_UNKNOWN: Mapping[str, str] = {
    "openai": "OPENAI_BASE_URL",
    "huggingface": "CARPOOL_HUGGINGFACE_BASE_URL",
    "blackroad": "CARPOOL_BLACKROAD_BASE_URL",
}
"""Servers of which nobody knows what they have."""

Source: TypeAlias = Literal["environment", ".env", "carpool.toml", "default"]


@dataclass(frozen=True, slots=True)
class InForce:
    """A setting as it stands: its text as a person may see it, and where that came from."""

    setting: Setting
    shown: str
    source: Source


@dataclass(frozen=True, slots=True)
class Problem:
    """``what`` names the setting and says what is wrong, ``remedy`` what to do. Free of secrets."""

    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """``settings`` is None where there is a problem: then nothing starts."""

    settings: Settings | None
    in_force: tuple[InForce, ...]
    problems: tuple[Problem, ...]


def load(environment: Mapping[str, str], folder: Path, home: Path) -> Loaded:
    """Read the settings. ``folder`` is where ``.env`` and ``carpool.toml`` are looked for, ``home`` the default home."""
    problems: list[Problem] = []
    table = settings_table(home)
    dotenv = _read_dotenv(folder / ENV_FILE, problems)
    toml = _read_toml(folder / TOML_FILE, table, problems)
    _name_strangers({**dotenv, **environment}, table, problems)
    values: dict[str, Any] = {}
    in_force: list[InForce] = []
    for setting in table:
        given, source = _given(setting, environment, dotenv, toml)
        try:
            value = setting.read(given)
        except ValueError as error:
            problems.append(Problem(f"{setting.variable} (from {source}) is not usable: {error}.", _remedy(setting)))
            continue
        values[setting.field] = value
        in_force.append(InForce(setting, _shown(setting, given, value), source))
    problems.extend(
        Problem(
            f"{variable} names a server, and nothing says which models it has.",
            f"Name them in CARPOOL_{name.upper()}_MODELS, with commas between.",
        )
        for name, variable in MODELS_UNKNOWN.items()
        if values.get(f"{name}_base_url") and not values.get(f"{name}_models", True)
    )
    if bool(values.get("witness_url")) != bool(values.get("witness_key")):
        problems.append(
            Problem(
                "CARPOOL_WITNESS_URL and CARPOOL_WITNESS_KEY go together, and one of them is missing.",
                "Set both, or neither.",
            )
        )
    if values.get("stripe_api_key") and not values.get("stripe_return_url"):
        problems.append(
            Problem(
                "STRIPE_API_KEY is set, and STRIPE_RETURN_URL is not: Stripe's pages have nowhere to lead back to.",
                "Set it to the address of /stripe/return of this CarPool, or to any page of yours.",
            )
        )
    if problems:
        return Loaded(None, tuple(in_force), tuple(problems))
    limits = Limits(**{item.name: values.pop(item.name) for item in fields(Limits)})
    for name, models in MODELS_KNOWN.items():
        values[name] = values[name] or models
    return Loaded(Settings(limits=limits, **values), tuple(in_force), ())


def load_here() -> Loaded:
    """The settings of this process."""
    import platformdirs

    return load(os.environ, Path.cwd(), platformdirs.user_data_path("carpool"))


def colour_is_unwanted() -> bool:
    """``NO_COLOR``, as no-color.org has it: set, and not empty."""
    return bool(os.environ.get("NO_COLOR"))


def _given(
    setting: Setting, environment: Mapping[str, str], dotenv: Mapping[str, str], toml: Mapping[str, str]
) -> tuple[str, Source]:
    sources: tuple[tuple[Source, str | None], ...] = (
        ("environment", environment.get(setting.variable)),
        (".env", dotenv.get(setting.variable)),
        ("carpool.toml", toml.get(setting.key)),
    )
    for source, given in sources:
        # An empty variable counts as none: a `.env` copied from the example has many.
        if given is not None and given.strip():
            return given.strip(), source
    return setting.default, "default"


def _shown(setting: Setting, given: str, value: object) -> str:
    if isinstance(value, Secret):
        return value.masked if value else ""
    return readers.without_password(given) if setting.read is readers.url else given


def _remedy(setting: Setting) -> str:
    default = f", which makes it {setting.default}" if setting.default else ""
    return f"Correct it ({setting.about}), or leave it out{default}."


def _read_dotenv(path: Path, problems: list[Problem]) -> dict[str, str]:
    if not path.is_file():
        return {}
    from dotenv.parser import parse_stream

    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        problems.append(Problem(f"{path} cannot be read as text.", "Save it as UTF-8, and see that it may be read."))
        return {}
    values: dict[str, str] = {}
    for binding in parse_stream(io.StringIO(text)):
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
        elif binding.error or binding.key is not None:
            # The parser's own functions leave such a line out. It is not quoted: it may hold a key.
            source = binding.original.string
            line = binding.original.line + source[: len(source) - len(source.lstrip())].count("\n")
            problems.append(
                Problem(f"line {line} of {path} sets nothing.", "Each line is NAME=value, or begins with #.")
            )
    return values


def _read_toml(path: Path, table: tuple[Setting, ...], problems: list[Problem]) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        # The parser's own words give the line and no value.
        problems.append(Problem(f"{path} cannot be read: {error}.", "Mend that line: each is `name = value`."))
        return {}
    known = {setting.key: setting for setting in table}
    found: dict[str, str] = {}
    for key, value in data.items():
        if key not in known:
            problems.append(Problem(f"{TOML_FILE} has a setting named {key}, which there is not.", _near(key, known)))
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            found[key] = ",".join(value)
        elif isinstance(value, bool):
            found[key] = str(value).lower()
        elif isinstance(value, str | int):
            found[key] = str(value)
        else:
            problems.append(Problem(f"{key} in {TOML_FILE} is neither text nor a whole number.", _remedy(known[key])))
    return found


def _name_strangers(given: Mapping[str, str], table: tuple[Setting, ...], problems: list[Problem]) -> None:
    """A misspelt setting would be silent otherwise. Only names that begin as ours do can be known to be meant for us."""
    known = {setting.variable: setting for setting in table}
    problems.extend(
        Problem(f"There is no setting named {name}.", _near(name, known))
        for name in given
        if name.startswith(PREFIX) and name not in known
    )


def _near(name: str, known: Mapping[str, Setting]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean {near[0]}?" if near else "`carpool config` lists all there are; take this one out."
