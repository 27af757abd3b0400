"""A customer's own account at Stripe, for tools, through the official SDK. It is not what CarPool itself is paid by."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from integrations.tools.base import BadAnswer, ToolError, Unavailable, Use
from integrations.tools.status import error_of

if TYPE_CHECKING:
    from stripe import ListObject, StripeClient, StripeError

T = TypeVar("T")
Thing: TypeAlias = Mapping[str, Any]

SERVICE = "Stripe"
REQUEST_TIMEOUT_S = 20.0
LISTED_MAX = 200
PAGE = 100
_WITHOUT_HUNDREDTHS = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf")
)
"""Currencies whose smallest unit is the whole one: docs.stripe.com, "Zero-decimal currencies"."""
_THOUSANDTHS = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})


@dataclass(frozen=True, slots=True)
class StripeToolsClient:
    """``url`` is where the API is; empty for Stripe's own."""

    key: str = field(repr=False)
    url: str = ""

    async def run(self, use: Use, work: "Callable[[StripeClient, Use], Awaitable[T]]") -> T:
        """Do it. Raises ``ToolError``; every error of the SDK and of what it calls with becomes one here."""
        import stripe
        from aiohttp import ClientError

        http = stripe.AIOHTTPClient(timeout=REQUEST_TIMEOUT_S)
        base = self.url.rstrip("/")
        # Nothing is repeated here: a turn decides that.
        client = stripe.StripeClient(
            self.key, base_addresses={"api": base} if base else None, max_network_retries=0, http_client=http
        )
        try:
            return await work(client, use)
        except stripe.StripeError as error:
            raise _ours(error) from error
        except (ClientError, TimeoutError, OSError) as error:
            # The SDK lets what goes wrong while a body is read through as it is.
            raise Unavailable(f"{SERVICE}: {error!r}", "{0} cannot be reached at the moment.", SERVICE) from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # An answer of another shape than is documented is read so. Ours never end in one of these.
            raise BadAnswer(f"{SERVICE}: {error!r}", "{0} gave an answer that was not expected.", SERVICE) from error
        finally:
            await http.close_async()  # type: ignore[no-untyped-call]  # the SDK has no type for it


def _ours(error: "StripeError") -> ToolError:
    import stripe

    status, code = error.http_status or 0, error.code or type(error).__name__
    headers = {name.casefold(): value for name, value in (error.headers or {}).items()}
    try:
        wait_s = float(headers["retry-after"])
    except (KeyError, ValueError):
        wait_s = None
    match error:
        case stripe.APIConnectionError():
            return Unavailable(f"{SERVICE}: {code}", "{0} cannot be reached at the moment.", SERVICE)
        case stripe.IdempotencyError():
            return error_of(SERVICE, 409, code)
        case stripe.CardError():
            return error_of(SERVICE, 422, code)
        case _ if status < 300:
            return BadAnswer(f"{SERVICE}: {code}", "{0} gave an answer that was not expected.", SERVICE)
        case _:
            return error_of(SERVICE, status, code, wait_s)


async def some(listed: "ListObject[Any]", most: int = LISTED_MAX) -> tuple[list[Thing], bool]:
    """The first of them, across their pages, and whether there are more."""
    found: list[Thing] = []
    async for each in listed.auto_paging_iter():
        if len(found) == most:
            return found, True
        found.append(each.to_dict())
    return found, False


def amount(cents: int, currency: str) -> str:
    """
    >>> amount(123456, "eur"), amount(500, "jpy"), amount(-5, "usd")
    ('1,234.56 EUR', '500 JPY', '-0.05 USD')
    """
    places = 0 if currency in _WITHOUT_HUNDREDTHS else 3 if currency in _THOUSANDTHS else 2
    whole, part = divmod(abs(cents), 10**places)
    sign = "-" if cents < 0 else ""
    return f"{sign}{whole:,}{f'.{part:0{places}}' if places else ''} {currency.upper()}"
