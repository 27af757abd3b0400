"""Replies for the person who asked alone: by a response_url, as an ephemeral message, or in a direct conversation."""

import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.platforms.base import Address, PlatformError, Reply
from bot.platforms.slack_errors import SlackError, answer_of, of_answer, of_connection
from bot.platforms.slack_files import share, without
from bot.platforms.slack_pieces import PRIVATE_PIECES_MAX, Piece, pieces_of
from bot.sentences import Sentences

if TYPE_CHECKING:
    from slack_sdk.web.async_client import AsyncWebClient

DIRECT = "D"
"""How the id of a conversation of two begins: what is said there is private already."""
CALL_TIMEOUT_S = 15


def is_private(to: Address, reply: Reply) -> bool:
    """An answer to a button that stands in a thread is for the thread; all else with a response_url is for its asker."""
    if to.reply_url and (not to.thread or reply.kind != "answer"):
        return True
    return reply.private and not to.channel.startswith(DIRECT)


async def send_privately(client: "AsyncWebClient", api_url: str, to: Address, reply: Reply, say: Sentences) -> None:
    """Raises ``PlatformError``."""
    if reply.files:
        channel = await _direct(client, to)
        reply = without(reply, await share(client, channel, "", reply.files, ()), say)
    for piece in pieces_of(reply, PRIVATE_PIECES_MAX, say):
        if not (to.reply_url and await _responded(client, api_url, to, piece)):
            await _post(client, to, piece)


async def _responded(client: "AsyncWebClient", api_url: str, to: Address, piece: Piece) -> bool:
    """Whether the response_url still took it: it is good for half an hour."""
    from aiohttp import ClientError
    from slack_sdk.errors import SlackClientError
    from slack_sdk.webhook.async_client import AsyncWebhookClient

    _check_reply_url(to.reply_url, api_url)
    webhook = AsyncWebhookClient(
        to.reply_url, timeout=CALL_TIMEOUT_S, retry_handlers=[], logger=logging.getLogger("slack_sdk")
    )
    body = {
        "response_type": "ephemeral",
        # What was pressed stays as it is.
        "replace_original": False,
        "text": piece.fallback,
        "blocks": list(piece.blocks),
    }
    if to.thread:
        body["thread_ts"] = to.thread
    try:
        answer = await webhook.send_dict(body)
    except (ClientError, SlackClientError, TimeoutError, OSError) as error:
        raise of_connection(error) from error
    if answer.status_code in (403, 404, 410):
        return False
    if answer.status_code != 200:
        raise of_answer(answer.status_code, "", answer.headers.get("Retry-After"))
    return True


async def _post(client: "AsyncWebClient", to: Address, piece: Piece) -> None:
    try:
        await answer_of(
            client.chat_postEphemeral(
                channel=to.channel,
                user=to.person,
                thread_ts=to.thread or None,
                text=piece.fallback,
                blocks=list(piece.blocks),
            )
        )
    except SlackError as error:
        if error.retry_after_s is not None:
            raise
        # Where the bot is no member, or the person has left, nothing ephemeral can be shown.
        channel = await _direct(client, to)
        await answer_of(
            client.chat_postMessage(
                channel=channel,
                text=piece.fallback,
                blocks=list(piece.blocks),
                unfurl_links=False,
                unfurl_media=False,
            )
        )


async def _direct(client: "AsyncWebClient", to: Address) -> str:
    """The conversation of the bot with the person who asked."""
    answer = await answer_of(client.conversations_open(users=to.person))
    return str((answer.get("channel") or {}).get("id") or "")


def _check_reply_url(url: str, api_url: str) -> None:
    """Only Slack's own host is written to: the address came in with a request."""
    parts, api = urlsplit(url), urlsplit(api_url)
    slack = parts.scheme == "https" and parts.hostname == "hooks.slack.com"
    own = (parts.scheme, parts.hostname, parts.port) == (api.scheme, api.hostname, api.port)
    if not (slack or own):
        raise PlatformError("Slack: a response_url that is not Slack's", None)
