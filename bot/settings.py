"""What can be set: the names, the defaults and what each is for. Where they are read from is ``config``'s.

Each setting has one name, that of its variable; in ``carpool.toml`` it is written small and without ``CARPOOL_``.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from adapters.base import Effort
from bot import readers
from bot.billing import Charges
from bot.limits import ABOUT, Limits
from bot.lucidia.policy import AIMS, EFFORTS, Aim
from bot.mcp_servers import ServerTable, mcp_servers
from bot.secret import Secret, SecretUrl
from bot.sentences import CODE

PREFIX = "CARPOOL_"
DATABASE_FILE = "roadchain.db"
LIMIT_MOST = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What is in force. An empty secret, or a path of None, means: not given."""

    home: Path
    database_url: Path | SecretUrl | None
    log_level: str
    origin: str
    language: str
    retention_days: int
    audit_s: int
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
    image_hosts: tuple[str, ...]
    github_enabled: bool
    github_token: Secret
    github_api_url: str
    github_client_id: str
    github_client_secret: Secret
    google_client_id: str
    google_client_secret: Secret
    gmail_api_url: str
    notion_token: Secret
    notion_api_url: str
    slack_tools: bool
    slack_search_token: Secret
    stripe_tools_key: Secret
    stripe_tools_url: str
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
    tool_prices: tuple[tuple[str, int], ...]
    person_day_urc_max: int
    person_month_urc_max: int
    workspace_day_urc_max: int
    workspace_month_urc_max: int
    referral_urc: int
    second_operator_above_usd: int
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
        Setting("language", "CARPOOL_LANGUAGE", readers.language, CODE, "the language of what CarPool itself says"),
        Setting(
            "retention_days",
            "CARPOOL_RETENTION_DAYS",
            readers.count(0, 36_500),
            "0",
            "after how many days texts are erased; 0: never",
        ),
        Setting(
            "audit_s",
            "CARPOOL_AUDIT_S",
            readers.count(0, 31_536_000),
            "3600",
            "how many seconds lie between two looks at the whole ledger; 0: it is not looked at",
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
        Setting(
            "image_hosts",
            "CARPOOL_IMAGE_HOSTS",
            readers.names,
            "",
            "the hosts of which an answer made from what others wrote may show images: example.org,*.example.org",
        ),
        Setting("github_enabled", "CARPOOL_GITHUB_ENABLED", readers.flag, "false", "whether a model may read GitHub"),
        Setting("github_token", "GITHUB_TOKEN", readers.secret, "", "GitHub: a token, to write there too"),
        Setting("github_api_url", "GITHUB_API_URL", readers.url, "https://api.github.com", "GitHub: where its API is"),
        Setting(
            "github_client_id", "GITHUB_CLIENT_ID", readers.word, "", "GitHub: an OAuth app, to connect it by agreeing"
        ),
        Setting("github_client_secret", "GITHUB_CLIENT_SECRET", readers.secret, "", "GitHub: for the same"),
        Setting("google_client_id", "GOOGLE_CLIENT_ID", readers.word, "", "Google: an OAuth client, to connect Gmail"),
        Setting("google_client_secret", "GOOGLE_CLIENT_SECRET", readers.secret, "", "Google: for the same"),
        Setting(
            "gmail_api_url", "GMAIL_API_URL", readers.url, "https://gmail.googleapis.com", "Gmail: where its API is"
        ),
        Setting(
            "notion_token", "NOTION_TOKEN", readers.secret, "", "Notion: the token of a connection, to read and write"
        ),
        Setting("notion_api_url", "NOTION_API_URL", readers.url, "https://api.notion.com", "Notion: where its API is"),
        Setting(
            "slack_tools",
            "CARPOOL_SLACK_TOOLS",
            readers.flag,
            "false",
            "whether a model may read Slack and write there, where the person who asks may see it",
        ),
        Setting(
            "slack_search_token",
            "SLACK_SEARCH_TOKEN",
            readers.secret,
            "",
            "Slack: a person's token with search:read, to search the channels that the person who asks is in",
        ),
        Setting(
            "stripe_tools_key",
            "STRIPE_TOOLS_API_KEY",
            readers.secret,
            "",
            "Stripe: a restricted key of an account that models look things up in; not the one that CarPool is paid by",
        ),
        Setting(
            "stripe_tools_url",
            "STRIPE_TOOLS_API_URL",
            readers.url,
            "",
            "another address than Stripe's own, for those tools",
        ),
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
            "tool_prices",
            "CARPOOL_TOOL_PRICES",
            readers.prices,
            "",
            "what a use of a tool costs, in RC: TOOL=RC,...; the others are free",
        ),
        Setting(
            "person_day_urc_max",
            "CARPOOL_PERSON_DAY_URC_MAX",
            readers.count(0, 10**15),
            "0",
            "what a person may spend in a day, in uRC; 0: any",
        ),
        Setting(
            "person_month_urc_max",
            "CARPOOL_PERSON_MONTH_URC_MAX",
            readers.count(0, 10**15),
            "0",
            "what a person may spend in a month, in uRC; 0: any",
        ),
        Setting(
            "workspace_day_urc_max",
            "CARPOOL_WORKSPACE_DAY_URC_MAX",
            readers.count(0, 10**15),
            "0",
            "what a workspace may spend in a day, in uRC; 0: any",
        ),
        Setting(
            "workspace_month_urc_max",
            "CARPOOL_WORKSPACE_MONTH_URC_MAX",
            readers.count(0, 10**15),
            "0",
            "what a workspace may spend in a month, in uRC; 0: any",
        ),
        Setting(
            "referral_urc",
            "CARPOOL_REFERRAL_URC",
            readers.count(0, 10**12),
            "0",
            "what a workspace and the one that invited it get when it first buys as much, in uRC; 0: nothing",
        ),
        Setting(
            "second_operator_above_usd",
            "CARPOOL_SECOND_OPERATOR_ABOVE_USD",
            readers.count(0, 1_000_000),
            "100",
            "what moves more US dollars at `carpool billing` takes two operators; 0: never",
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
