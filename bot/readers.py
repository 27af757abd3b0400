"""How the text of one setting becomes its value. Each raises ``ValueError`` with a sentence on what it should be."""

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

from adapters.base import Effort
from bot.billing import Charges
from bot.lucidia.policy import AIMS, EFFORTS, Aim
from bot.secret import Secret, SecretUrl
from bot.sentences import languages
from ledger.errors import LedgerError
from ledger.money import URC_PER_RC
from ledger.note import parse_vkey

CHARGES: tuple[Charges, ...] = get_args(Charges)
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
YES = ("1", "true", "yes", "on")
NO = ("0", "false", "no", "off")
GGUF_MAGIC = b"GGUF"
_TOOL = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_AMOUNT = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?")


def secret(given: str) -> Secret:
    if not given.isascii() or not given.isprintable() or " " in given:
        raise ValueError("it should be one word of plain characters; look for a space or a line break in it")
    return Secret(given)


def secret_like(prefix: str, what: str) -> Callable[[str], Secret]:
    """A secret whose kind its first letters tell."""

    def read(given: str) -> Secret:
        if given and not given.startswith(prefix):
            raise ValueError(f"it should be {what}, which begins with {prefix}")
        return secret(given)

    return read


def vault_keys(given: str) -> Secret:
    """Empty; or the vault's key as 64 hex digits, and behind a comma the one before it."""
    words = given.split(",") if given else []
    if len(words) > 2 or not all(len(word) == 64 and set(word) <= set("0123456789abcdef") for word in words):
        raise ValueError("it should be 64 of the digits 0 to 9 and a to f; behind a comma, the key before it")
    return Secret(given)


def flag(given: str) -> bool:
    if given.casefold() in YES:
        return True
    if given.casefold() in NO:
        return False
    raise ValueError("it should be true or false")


def count(least: int, most: int) -> Callable[[str], int]:
    def read(given: str) -> int:
        if given.isascii() and given.isdigit() and len(given) < 20 and least <= int(given) <= most:
            return int(given)
        raise ValueError(f"it should be a whole number from {least:,} to {most:,}")

    return read


def url(given: str) -> str:
    """Empty, or an address that can be called."""
    if not given:
        return ""
    try:
        parts = urlsplit(given)
        callable_ = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets left open, a port above 65535: said with words of theirs
        callable_ = False
    if not callable_ or any(letter.isspace() for letter in given):
        raise ValueError("it should be an address such as https://example.com/v1")
    return given


def https(given: str) -> str:
    """Empty, or an address with TLS at its root, without the slash at the end."""
    parts = urlsplit(url(given))
    if given and (parts.scheme != "https" or parts.query or parts.fragment or "@" in parts.netloc):
        raise ValueError("it should be an address such as https://carpool.example.org")
    return given.rstrip("/")


def without_password(address: str) -> str:
    """For eyes: who calls, and with what password, left out."""
    before, at, host = address.rpartition("@")
    scheme, slashes, _ = before.partition("//")
    return f"{scheme}{slashes}…@{host}" if at else address


def aim(given: str) -> Aim:
    for known in AIMS:
        if given.casefold() == known:
            return known
    raise ValueError(f"it should be one of {', '.join(AIMS)}")


def charges(given: str) -> Charges:
    for known in CHARGES:
        if given.casefold() == known:
            return known
    raise ValueError(f"it should be one of {', '.join(CHARGES)}")


def effort(given: str) -> Effort | None:
    """None where empty."""
    for known in EFFORTS:
        if given.casefold() == known:
            return known
    if given:
        raise ValueError(f"it should be one of {', '.join(EFFORTS)}")
    return None


def model(given: str) -> str:
    """Empty, or ``provider/model``. Whether it is connected shows where it is asked."""
    provider, _, name = given.partition("/")
    if given and not (provider and name):
        raise ValueError("it should be a provider and a model, such as openai/gpt-6.1-sol")
    return given


def word(given: str) -> str:
    """Empty, or one word."""
    if not given.isascii() or not given.isprintable() or " " in given:
        raise ValueError("it should be one word of plain characters")
    return given


def level(given: str) -> str:
    if given.upper() not in LEVELS:
        raise ValueError(f"it should be one of {', '.join(LEVELS)}")
    return given.upper()


def line(given: str) -> str:
    if not given or not given.isprintable():
        raise ValueError("it should be one line of text")
    return given


def language(given: str) -> str:
    if given not in languages():
        raise ValueError(f"it should be one of {', '.join(languages())}")
    return given


def origin(given: str) -> str:
    """The name of a ledger, as it stands in its checkpoints and public keys (C2SP signed-note)."""
    if not given or not given.isascii() or not given.isprintable() or set(given) & set(" +"):
        raise ValueError("it should be one word without a plus sign, such as carpool.example.org")
    return given


def vkey(given: str) -> str:
    """Empty, or a public key as text."""
    if given:
        try:
            parse_vkey(given)
        except LedgerError as error:
            raise ValueError("it should be a public key of the form name+id+base64") from error
    return given


def folder(given: str) -> Path:
    path = Path(given).expanduser()
    if path.exists() and not path.is_dir():
        raise ValueError("it should be a folder, and there is a file of that name")
    return path.absolute()


def some_folder(given: str) -> Path | None:
    """None where empty; else a folder that is there."""
    if not given:
        return None
    path = Path(given).expanduser()
    if not path.is_dir():
        raise ValueError("there is no folder of that name")
    return path.absolute()


def file(given: str) -> Path | None:
    """None where empty; else a file that is there."""
    if not given:
        return None
    path = Path(given).expanduser()
    if not path.is_file():
        raise ValueError("there is no file of that name")
    return path.absolute()


def gguf(given: str) -> Path | None:
    """None where empty; else a file of weights. Whether they can be used shows when they are loaded."""
    path = file(given)
    if path is not None:
        try:
            with path.open("rb") as opened:
                magic = opened.read(len(GGUF_MAGIC))
        except OSError as error:
            raise ValueError(f"the file cannot be read ({error.strerror})") from error
        if magic != GGUF_MAGIC:
            raise ValueError("it should be a GGUF file, and that file is something else")
    return path


def forks(given: str) -> tuple[tuple[Path, float], ...]:
    """``FILE`` or ``FILE:SCALE``, several with commas between."""
    found: list[tuple[Path, float]] = []
    for item in filter(None, (part.strip() for part in given.split(","))):
        name, colon, scale = item.rpartition(":")
        if not colon or not _is_number(scale):
            name, scale = item, "1"
        path = gguf(name)
        if path is not None:
            found.append((path, float(scale)))
    return tuple(found)


def prices(given: str) -> tuple[tuple[str, int], ...]:
    """``TOOL=RC``, several with commas between; in uRC.

    >>> prices("web_page=0.1, gmail_send=2")
    (('web_page', 100000), ('gmail_send', 2000000))
    """
    found: dict[str, int] = {}
    for item in names(given):
        tool, _, amount = (part.strip() for part in item.partition("="))
        if not _TOOL.fullmatch(tool) or not _AMOUNT.fullmatch(amount) or tool in found:
            raise ValueError(
                "it should be such as web_page=0.1,gmail_send=2: each tool once, RC with six decimals at the most"
            )
        found[tool] = int(Decimal(amount) * URC_PER_RC)
    return tuple(found.items())


def names(given: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in given.split(","))))


def database(given: str) -> Path | SecretUrl | None:
    """``sqlite:///FILE`` or ``postgresql://...``; None where empty, which means the file in ``CARPOOL_HOME``."""
    if not given:
        return None
    if given.startswith(("postgresql://", "postgres://")):
        return _postgresql(given)
    name = given.removeprefix("sqlite:///")
    if name == given or not name:
        raise ValueError(
            "it should be sqlite:///path/to/roadchain.db, or postgresql://user:password@host:5432/database"
        )
    return Path(name).expanduser().absolute()


def _postgresql(given: str) -> SecretUrl:
    # What is wrong is said without a word of it: a password that is not written as it should be may end anywhere.
    wrong = "it should be postgresql://user:password@host:5432/database, with each of @ : / ? # in the password as %40 and so on"
    if not given.isprintable() or " " in given:
        raise ValueError(wrong)
    try:
        parts = urlsplit(given)
        names_one = bool(parts.path.strip("/")) and (parts.port or 1) > 0
    except ValueError:
        raise ValueError(wrong) from None
    if not names_one or parts.fragment or "@" in parts.path + parts.query:
        raise ValueError(wrong)
    return SecretUrl(given)


def _is_number(given: str) -> bool:
    try:
        return 0 <= float(given) <= 100
    except ValueError:
        return False
