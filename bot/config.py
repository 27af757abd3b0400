"""Settings: from the environment, a ``.env``, a ``carpool.toml``, and defaults, in this order. Nothing else reads them.

Each setting has one name, that of its variable; in ``carpool.toml`` it is written small and without ``CARPOOL_``. All that is
wrong is collected, each with what to do about it, so that one look shows everything.
"""

import io
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeAlias

from adapters.base import Effort
from bot import readers
from bot.billing import Charges
from bot.limits import ABOUT, Limits
from bot.lucidia.cards import ANTHROPIC_MODELS, GOOGLE_MODELS, HUGGINGFACE_MODELS, OPENAI_MODELS, XAI_MODELS
from bot.lucidia.policy import AIMS, EFFORTS, Aim
from bot.mcp_servers import ServerTable, mcp_servers
from bot.secret import Secret, SecretUrl

PREFIX = "CARPOOL_"
TOML_FILE = "carpool.toml"
ENV_FILE = ".env"
DATABASE_FILE = "roadchain.db"
LIMIT_MOST = 1_000_000_000

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
class Settings:
    """What is in force. An empty secret, or a path of None, means: not given."""

    home: Path
    database_url: Path | SecretUrl | None
    log_level: str
    origin: str
    retention_days: int
    vault_key: Secret
    witness_url: str
    witness_key: str
    local_enabled: bool
    local_model: Path | None
    local_lora: tuple[tuple[Path, float], ...]
    local_forks: Path | None
    local_models: Path | None
    local_loaded_max: int
    local_context_tokens: int
    local_parallel_max: int
    local_threads: int
    scripted: Path | None
    openai_api_key: Secret
    openai_base_url: str
    openai_org_id: str
    openai_project_id: str
    openai_models: tuple[str, ...]
    catalogue: Path | None
    policy: Aim
    model: str
    providers: tuple[str, ...]
    answer_urc_max: int
    reasoning_effort: Effort | None
    anthropic_api_key: Secret
    anthropic_base_url: str
    anthropic_models: tuple[str, ...]
    gemini_api_key: Secret
    google_api_key: Secret
    google_base_url: str
    google_api_version: str
    google_models: tuple[str, ...]
    xai_api_key: Secret
    xai_base_url: str
    xai_models: tuple[str, ...]
    hf_token: Secret
    huggingface_base_url: str
    huggingface_models: tuple[str, ...]
    blackroad_api_key: Secret
    blackroad_base_url: str
    blackroad_models: tuple[str, ...]
    tools_enabled: bool
    web_hosts: tuple[str, ...]
    github_enabled: bool
    github_token: Secret
    github_api_url: str
    mcp_servers: tuple[ServerTable, ...]
    slack_bot_token: Secret
    slack_signing_secret: Secret
    slack_app_token: Secret
    slack_api_url: str
    slack_client_id: str
    slack_client_secret: Secret
    slack_config_token: Secret
    discord_bot_token: Secret
    discord_message_content: bool
    stripe_api_key: Secret
    stripe_webhook_secret: Secret
    stripe_api_url: str
    stripe_return_url: str
    stripe_tax: bool
    plans: Path | None
    charges: Charges
    markup_bps: int
    person_day_urc_max: int
    workspace_month_urc_max: int
    host: str
    port: int
    public_url: str
    explorer_enabled: bool
    limits: Limits

    @property
    def database(self) -> Path | SecretUrl:
        """Where the ledger is: a SQLite file, or a PostgreSQL database."""
        return self.database_url or self.home / DATABASE_FILE

    @property
    def database_shown(self) -> str:
        """The same, as a person may see it."""
        return str(self.database) if isinstance(self.database, Path) else self.database.masked

    @property
    def google_key(self) -> Secret:
        """Google's SDK knows two names for its key, and where both are set it takes this one first."""
        return self.google_api_key or self.gemini_api_key

    @property
    def vault_keys(self) -> tuple[bytes, ...]:
        """The one that seals first; none where a file in ``home`` has them."""
        return tuple(bytes.fromhex(word) for word in self.vault_key.reveal().split(",") if word)

    @property
    def stripe_webhook_secrets(self) -> tuple[str, ...]:
        """None: deliveries are not taken."""
        return tuple(filter(None, self.stripe_webhook_secret.reveal().split(",")))

    @property
    def logs(self) -> Path:
        return self.home / "logs"


@dataclass(frozen=True, slots=True)
class Setting:
    """``read`` turns text into the value, the default's text too."""

    field: str
    variable: str
    read: Callable[[str], object]
    default: str
    about: str

    @property
    def key(self) -> str:
        """Its name in ``carpool.toml``."""
        return self.variable.removeprefix(PREFIX).lower()


def settings_table(home: Path) -> tuple[Setting, ...]:
    """Every setting there is. ``home`` is the default folder for the state."""
    bot_token = readers.secret_like("xoxb-", "a bot token")
    app_token = readers.secret_like("xapp-", "an app-level token")
    config_token = readers.secret_like("xoxe", "a configuration token")
    own = (
        Setting("home", "CARPOOL_HOME", readers.folder, str(home), "the folder of all state: ledger, keys, logs"),
        Setting(
            "database_url",
            "CARPOOL_DATABASE_URL",
            readers.database,
            "",
            "the ledger, where it is not in HOME: sqlite:///FILE, or postgresql://...",
        ),
        Setting("log_level", "CARPOOL_LOG_LEVEL", readers.level, "INFO", "how much the log tells"),
        Setting("origin", "CARPOOL_ORIGIN", readers.origin, "carpool.local", "the name of a new ledger"),
        Setting(
            "retention_days",
            "CARPOOL_RETENTION_DAYS",
            readers.count(0, 36_500),
            "0",
            "after how many days texts are erased; 0: never",
        ),
        Setting(
            "vault_key",
            "CARPOOL_VAULT_KEY",
            readers.vault_keys,
            "",
            "what seals the keys that people bring; left out, it is made into a file in HOME",
        ),
        Setting("witness_url", "CARPOOL_WITNESS_URL", readers.url, "", "a C2SP witness that cosigns the checkpoints"),
        Setting("witness_key", "CARPOOL_WITNESS_KEY", readers.vkey, "", "its public key: name+id+base64"),
        Setting("local_enabled", "CARPOOL_LOCAL_ENABLED", readers.flag, "true", "whether the local model is offered"),
        Setting("local_model", "CARPOOL_LOCAL_MODEL", readers.gguf, "", "a GGUF file, instead of the embedded model"),
        Setting("local_lora", "CARPOOL_LOCAL_LORA", readers.forks, "", "LoRA adapters over it: FILE[:SCALE],..."),
        Setting(
            "local_forks",
            "CARPOOL_LOCAL_FORKS",
            readers.some_folder,
            "",
            "a folder of LoRA adapters, each offered as a model by its file's name",
        ),
        Setting(
            "local_models",
            "CARPOOL_LOCAL_MODELS",
            readers.some_folder,
            "",
            "a folder of GGUF files, each offered as a model by its file's name, beside the one above",
        ),
        Setting(
            "local_loaded_max",
            "CARPOOL_LOCAL_LOADED_MAX",
            readers.count(1, 64),
            "2",
            "how many of all these are in memory at once; one that is not asked makes room for another",
        ),
        Setting(
            "local_context_tokens",
            "CARPOOL_LOCAL_CONTEXT_TOKENS",
            readers.count(256, 1_048_576),
            "2048",
            "its window, question and answer together",
        ),
        Setting(
            "local_parallel_max",
            "CARPOOL_LOCAL_PARALLEL_MAX",
            readers.count(1, 64),
            "4",
            "how many answers it makes at once",
        ),
        Setting(
            "local_threads", "CARPOOL_LOCAL_THREADS", readers.count(0, 1024), "0", "its threads; 0: it decides itself"
        ),
        Setting("scripted", "CARPOOL_SCRIPTED", readers.file, "", "a script in place of a model, for demonstrations"),
        Setting("openai_api_key", "OPENAI_API_KEY", readers.secret, "", "the key of OpenAI, or of a compatible server"),
        Setting("openai_base_url", "OPENAI_BASE_URL", readers.url, "", "a compatible server, instead of OpenAI"),
        Setting("openai_org_id", "OPENAI_ORG_ID", readers.word, "", "the organization at OpenAI that is billed"),
        Setting("openai_project_id", "OPENAI_PROJECT_ID", readers.word, "", "the project of it that is billed"),
        _models("openai_models", "CARPOOL_OPENAI_MODELS"),
        Setting(
            "catalogue", "CARPOOL_CATALOGUE", readers.file, "", "a TOML file of models: more of them, or other prices"
        ),
        Setting("policy", "CARPOOL_POLICY", readers.aim, "balanced", f"what decides among models: {', '.join(AIMS)}"),
        Setting("model", "CARPOOL_MODEL", readers.model, "", "provider/model that answers wherever it can serve"),
        Setting(
            "providers",
            "CARPOOL_PROVIDERS",
            readers.names,
            "",
            "the only providers that may be asked, with commas between",
        ),
        Setting(
            "answer_urc_max",
            "CARPOOL_ANSWER_URC_MAX",
            readers.count(0, 10**12),
            "0",
            "what an answer may cost, in uRC (1,000,000 are a US cent); 0: any",
        ),
        Setting(
            "reasoning_effort",
            "CARPOOL_REASONING_EFFORT",
            readers.effort,
            "",
            f"how much a model that thinks should think: {', '.join(EFFORTS)}; left out, it decides itself",
        ),
        Setting("anthropic_api_key", "ANTHROPIC_API_KEY", readers.secret, "", "the key of Anthropic"),
        Setting("anthropic_base_url", "ANTHROPIC_BASE_URL", readers.url, "", "a gateway, instead of Anthropic"),
        _models("anthropic_models", "CARPOOL_ANTHROPIC_MODELS"),
        Setting("gemini_api_key", "GEMINI_API_KEY", readers.secret, "", "the key of Google's Gemini API"),
        Setting(
            "google_api_key", "GOOGLE_API_KEY", readers.secret, "", "the same key by its other name; it goes first"
        ),
        Setting("google_base_url", "GOOGLE_GEMINI_BASE_URL", readers.url, "", "a gateway, instead of Google"),
        Setting(
            "google_api_version", "GOOGLE_GENAI_API_VERSION", readers.line, "v1beta", "the version of its API to speak"
        ),
        _models("google_models", "CARPOOL_GOOGLE_MODELS"),
        Setting("xai_api_key", "XAI_API_KEY", readers.secret, "", "the key of xAI"),
        Setting("xai_base_url", "XAI_BASE_URL", readers.url, "", "a gateway, instead of xAI"),
        _models("xai_models", "CARPOOL_XAI_MODELS"),
        Setting("hf_token", "HF_TOKEN", readers.secret, "", "the token of Hugging Face, for its Inference Providers"),
        Setting(
            "huggingface_base_url",
            "CARPOOL_HUGGINGFACE_BASE_URL",
            readers.url,
            "",
            "a TGI or vLLM server, instead of those",
        ),
        _models("huggingface_models", "CARPOOL_HUGGINGFACE_MODELS"),
        Setting(
            "blackroad_api_key", "CARPOOL_BLACKROAD_API_KEY", readers.secret, "", "the key of the house's own endpoint"
        ),
        Setting("blackroad_base_url", "CARPOOL_BLACKROAD_BASE_URL", readers.url, "", "the address of that endpoint"),
        _models("blackroad_models", "CARPOOL_BLACKROAD_MODELS"),
        Setting(
            "tools_enabled",
            "CARPOOL_TOOLS_ENABLED",
            readers.flag,
            "true",
            "whether models may use tools: clock, calculator",
        ),
        Setting(
            "web_hosts",
            "CARPOOL_WEB_HOSTS",
            readers.names,
            "",
            "the hosts whose pages a model may read, with commas between: example.org,*.example.org",
        ),
        Setting("github_enabled", "CARPOOL_GITHUB_ENABLED", readers.flag, "false", "whether a model may read GitHub"),
        Setting("github_token", "GITHUB_TOKEN", readers.secret, "", "GitHub: a token, to write there too"),
        Setting("github_api_url", "GITHUB_API_URL", readers.url, "https://api.github.com", "GitHub: where its API is"),
        Setting(
            "mcp_servers", "CARPOOL_MCP_SERVERS", mcp_servers, "", "a TOML file of MCP servers, whose tools are used"
        ),
        Setting("slack_bot_token", "SLACK_BOT_TOKEN", bot_token, "", "Slack: the bot token"),
        Setting("slack_signing_secret", "SLACK_SIGNING_SECRET", readers.secret, "", "Slack: for events over HTTP"),
        Setting("slack_app_token", "SLACK_APP_TOKEN", app_token, "", "Slack: for events over Socket Mode"),
        Setting("slack_api_url", "SLACK_API_URL", readers.url, "https://slack.com/api/", "Slack: where its API is"),
        Setting("discord_bot_token", "DISCORD_BOT_TOKEN", readers.secret, "", "Discord: the bot token"),
        Setting(
            "discord_message_content",
            "DISCORD_MESSAGE_CONTENT",
            readers.flag,
            "false",
            "Discord: whether it may read what does not mention it (the privileged intent Message Content)",
        ),
        Setting("slack_client_id", "SLACK_CLIENT_ID", readers.word, "", "Slack: to be installed in many workspaces"),
        Setting("slack_client_secret", "SLACK_CLIENT_SECRET", readers.secret, "", "Slack: for the same"),
        Setting(
            "slack_config_token",
            "SLACK_CONFIG_TOKEN",
            config_token,
            "",
            "Slack: lets `carpool doctor` compare the app's events and settings",
        ),
        Setting("stripe_api_key", "STRIPE_API_KEY", readers.secret, "", "Stripe: the secret or restricted key"),
        Setting(
            "stripe_webhook_secret",
            "STRIPE_WEBHOOK_SECRET",
            readers.secret,
            "",
            "Stripe: what the endpoint's events are signed with; while it is replaced, both with a comma between",
        ),
        Setting("stripe_api_url", "STRIPE_API_URL", readers.url, "", "another address than Stripe's own"),
        Setting(
            "stripe_return_url",
            "STRIPE_RETURN_URL",
            readers.url,
            "",
            "the page that Stripe leads back to: /stripe/return of this `carpool web`, as browsers reach it",
        ),
        Setting("stripe_tax", "STRIPE_TAX", readers.flag, "false", "whether Stripe Tax works out taxes"),
        Setting("plans", "CARPOOL_PLANS", readers.file, "", "a TOML file of the plans on offer"),
        Setting(
            "charges",
            "CARPOOL_CHARGES",
            readers.charges,
            "none",
            f"whose answers cost credit, with the house's keys: {', '.join(readers.CHARGES)} (funded: who ever had any)",
        ),
        Setting(
            "markup_bps",
            "CARPOOL_MARKUP_BPS",
            readers.count(0, 100_000),
            "0",
            "what is added to a model's price, in hundredths of a per cent",
        ),
        Setting(
            "person_day_urc_max",
            "CARPOOL_PERSON_DAY_URC_MAX",
            readers.count(0, 10**15),
            "0",
            "what a person may spend in a day, in uRC; 0: any",
        ),
        Setting(
            "workspace_month_urc_max",
            "CARPOOL_WORKSPACE_MONTH_URC_MAX",
            readers.count(0, 10**15),
            "0",
            "what a workspace may spend in a month, in uRC; 0: any",
        ),
        Setting("host", "CARPOOL_HOST", readers.line, "127.0.0.1", "the address that `carpool web` listens on"),
        Setting("port", "PORT", readers.count(0, 65_535), "3000", "the port that `carpool web` listens on"),
        Setting(
            "public_url",
            "CARPOOL_PUBLIC_URL",
            readers.https,
            "",
            "where the internet reaches `carpool web`, such as https://carpool.example.org",
        ),
        Setting(
            "explorer_enabled",
            "CARPOOL_EXPLORER_ENABLED",
            readers.flag,
            "false",
            "whether `carpool web` shows the ledger to anybody who asks: entries and proofs, no texts",
        ),
    )
    limits = tuple(
        Setting(
            item.name,
            f"{PREFIX}{item.name.upper()}",
            readers.count(1, LIMIT_MOST),
            str(item.default),
            ABOUT[item.name],
        )
        for item in fields(Limits)
    )
    return own + limits


def _models(field: str, variable: str) -> Setting:
    return Setting(field, variable, readers.names, "", "which of its models are offered, with commas between")


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
