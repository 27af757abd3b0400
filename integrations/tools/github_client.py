"""GitHub through PyGithub, which blocks: each use runs in a thread, with a client of its own."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from integrations.tools.base import BadAnswer, TimedOut, ToolError, Unavailable, Use
from integrations.tools.status import error_of

if TYPE_CHECKING:
    from github import Github, GithubException

T = TypeVar("T")

SERVICE = "GitHub"
CONNECTION = "github"
"""What people call it when they connect it."""
API = "https://api.github.com"
REQUEST_TIMEOUT_S = 15
LISTED_MAX = 200
"""How much of a list is read, page by page. What is beyond it is told."""


@dataclass(frozen=True, slots=True)
class GitHubClient:
    """``url`` is where the API is. ``token`` is the house's own: a use that brings one is done with that. Without any it is
    asked as anybody may ask it."""

    token: str = field(default="", repr=False)
    url: str = API

    async def run(self, use: Use, work: "Callable[[Github], T]") -> T:
        """Do it in a thread. Raises ``ToolError``; every error of PyGithub and of what it calls with becomes one here."""
        return await asyncio.to_thread(self._run, use.token or self.token, work)

    def _run(self, token: str, work: "Callable[[Github], T]") -> T:
        import requests
        from github import Auth, BadAttributeException, Github, GithubException

        auth = Auth.Token(token) if token else None
        # Nothing is repeated here: a turn decides that, and a write is never repeated. Nor is anything waited for.
        client = Github(
            auth=auth,
            base_url=self.url,
            timeout=REQUEST_TIMEOUT_S,
            retry=None,
            per_page=100,
            user_agent="CarPool",
            seconds_between_requests=None,
            seconds_between_writes=None,
        )
        try:
            return work(client)
        except GithubException as error:
            raise _ours(error) from error
        except requests.Timeout as error:
            raise TimedOut(f"{SERVICE}: {error}", "{0} did not answer in time.", SERVICE) from error
        except requests.RequestException as error:
            raise Unavailable(f"{SERVICE}: {error}", "{0} cannot be reached at the moment.", SERVICE) from error
        except (AssertionError, AttributeError, BadAttributeException, KeyError, TypeError, ValueError) as error:
            # PyGithub reads an answer of another shape than it expects so. Ours never end in one of these.
            raise BadAnswer(f"{SERVICE}: {error!r}", "{0} gave an answer that was not expected.", SERVICE) from error
        finally:
            client.close()


def _ours(error: "GithubException") -> ToolError:
    from github import IncompletableObject, RateLimitExceededException

    headers = {name.casefold(): value for name, value in (error.headers or {}).items()}
    wait_s = _seconds(headers.get("retry-after"))
    if wait_s is None and headers.get("x-ratelimit-remaining") == "0":
        reset_s = _seconds(headers.get("x-ratelimit-reset"))
        wait_s = None if reset_s is None else max(0.0, round(reset_s - time.time()))
    detail = str(error.message or error.data)[:300]
    if isinstance(error, RateLimitExceededException) or (error.status == 403 and wait_s is not None):
        return error_of(SERVICE, 429, detail, wait_s)
    if isinstance(error, IncompletableObject) or not 300 <= error.status < 600:
        return BadAnswer(
            f"{SERVICE} answered {error.status}: {detail}", "{0} gave an answer that was not expected.", SERVICE
        )
    return error_of(SERVICE, error.status, detail, wait_s)


def _seconds(given: str | None) -> float | None:
    try:
        return None if given is None else float(given)
    except ValueError:
        return None


def some(items: Iterable[T], most: int = LISTED_MAX) -> tuple[list[T], bool]:
    """The first of them, across their pages, and whether there are more."""
    found: Iterator[T] = iter(items)
    first = list(islice(found, most))
    return first, next(found, None) is not None


def listed(lines: Iterable[str], more: bool) -> str:
    text = "\n".join(lines) or "Nothing was found."
    return f"{text}\n[There are more than these.]" if more else text
