"""Files from and to Slack. What is fetched comes from Slack's own hosts only, and no more of it than is allowed.

Sources: docs.slack.dev, "Working with files", "files.getUploadURLExternal", "files.completeUploadExternal".
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from adapters.messages import File
from bot.platforms.base import Attached, PlatformError, Reply
from bot.platforms.slack_errors import SlackError, answer_of, of_answer, of_connection
from bot.platforms.slack_wire import BY_ID
from bot.sentences import Sentences

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession
    from slack_sdk.web.async_client import AsyncWebClient

log = logging.getLogger("carpool.slack")

REDIRECTS_MAX = 3
CHUNK_BYTES = 65_536


async def fetch_file(
    session: "ClientSession", client: "AsyncWebClient", api_url: str, attached: Attached, bytes_max: int
) -> bytes:
    """Raises ``PlatformError``: ``retry_after_s`` None where it is gone, too long, or may not be read."""
    url = attached.reference
    if url.startswith(BY_ID):
        told = await answer_of(client.files_info(file=url.removeprefix(BY_ID)))
        url = str((told.get("file") or {}).get("url_private") or "")
    from aiohttp import ClientError

    try:
        return await _read(session, str(client.token), api_url, url, attached, bytes_max)
    except (ClientError, TimeoutError, OSError) as error:
        raise of_connection(error) from error


async def _read(
    session: "ClientSession", token: str, api_url: str, url: str, attached: Attached, bytes_max: int
) -> bytes:
    for _ in range(REDIRECTS_MAX + 1):
        # The token goes along, so nobody but Slack is asked, whatever the message or a redirect says.
        _check_host(url, api_url)
        headers = {"Authorization": f"Bearer {token}"}
        async with session.get(url, headers=headers, allow_redirects=False) as answer:
            if answer.status in (301, 302, 303, 307, 308):
                url = urljoin(url, answer.headers.get("Location", ""))
                continue
            if answer.status != 200:
                raise of_answer(answer.status, "", answer.headers.get("Retry-After"))
            if answer.content_type == "text/html" and attached.media_type != "text/html":
                # Slack's page for signing in: the token does not let us read files.
                raise PlatformError("Slack: the file may not be read", None)
            return await _body(answer, bytes_max)
    raise PlatformError("Slack: too many redirects to a file", None)


async def _body(answer: "ClientResponse", bytes_max: int) -> bytes:
    data = bytearray()
    async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
        data += chunk
        if len(data) > bytes_max:
            raise PlatformError("Slack: the file is too long", None)
    return bytes(data)


def _check_host(url: str, api_url: str) -> None:
    parts, api = urlsplit(url), urlsplit(api_url)
    host = parts.hostname or ""
    slack = parts.scheme == "https" and (host == "slack.com" or host.endswith((".slack.com", ".slack-files.com")))
    own = (parts.scheme, host, parts.port) == (api.scheme, api.hostname, api.port)
    if not (slack or own):
        raise PlatformError("Slack: a file that does not lie with Slack", None)


async def share(
    client: "AsyncWebClient", channel: str, thread: str, files: Sequence[File], there: Collection[tuple[str, int]]
) -> tuple[str, ...]:
    """Bring files into a thread; those that are ``there`` (name and size) stand in it already.

    Gives the names of those that Slack does not take. Raises ``SlackError`` where it should be asked again later.
    """
    refused: list[str] = []
    for file in files:
        if (file.name, len(file.data)) in there:
            continue
        try:
            await answer_of(
                client.files_upload_v2(
                    filename=file.name, title=file.name, file=file.data, channel=channel, thread_ts=thread or None
                )
            )
        except SlackError as error:
            if error.retry_after_s is not None:
                raise
            log.warning("Slack does not take a file", extra={"cause": str(error)})
            refused.append(file.name)
    return tuple(refused)


def without(reply: Reply, refused: Sequence[str], say: Sentences) -> Reply:
    """The reply, which says what files could not be sent."""
    if not refused:
        return reply
    missing = say("Slack does not take files from me here, so these are missing: {0}.", ", ".join(refused))
    return replace(reply, text=f"{reply.text}\n\n_{missing}_")
