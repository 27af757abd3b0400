"""Where a reply goes in Discord, and the calls of its API that are needed there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from adapters.messages import File
from bot.platforms.base import PlatformError
from bot.platforms.discord_errors import EXPIRED, UNKNOWN_MESSAGE, DiscordRefused
from bot.platforms.discord_wire import EPHEMERAL, LOADING, Payload, Way

PAGE = 100
PAGES_MAX = 5
ORIGINAL = "@original"


class Call(Protocol):
    """One call of Discord's API: its JSON. Raises ``PlatformError``."""

    async def __call__(
        self,
        method: str,
        path: str,
        ids: Mapping[str, str],
        body: Payload | None = None,
        files: Sequence[File] = (),
        query: Mapping[str, str] | None = None,
    ) -> Any: ...


class Place(Protocol):
    """Where the messages of a reply stand. All of it raises ``PlatformError``."""

    async def post(self, message: Payload, files: Sequence[File], first: bool, nonce: str) -> str:
        """``first`` is set for what the answer begins with. The new message's id."""
        ...

    async def edit(self, message_id: str, message: Payload, files: Sequence[File]) -> None: ...

    async def delete(self, message_id: str) -> None: ...

    async def messages(self) -> tuple[list[Payload], bool]:
        """The newest messages there, and whether they are all that can matter."""
        ...

    async def typing(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel, a thread or a direct conversation. ``replies_to`` is the message that is answered, where there is no thread:
    what answers it stands behind it."""

    call: Call
    channel: str
    replies_to: str = ""

    async def post(self, message: Payload, files: Sequence[File], first: bool, nonce: str) -> str:
        body = {**message, "nonce": nonce, "enforce_nonce": True}
        if self.replies_to:
            body["message_reference"] = {"message_id": self.replies_to, "fail_if_not_exists": False}
        made = await self.call("POST", "/channels/{channel_id}/messages", self._ids(), body, files)
        return str(made["id"])

    async def edit(self, message_id: str, message: Payload, files: Sequence[File]) -> None:
        await self.call("PATCH", "/channels/{channel_id}/messages/{message_id}", self._ids(message_id), message, files)

    async def delete(self, message_id: str) -> None:
        await self.call("DELETE", "/channels/{channel_id}/messages/{message_id}", self._ids(message_id))

    async def messages(self) -> tuple[list[Payload], bool]:
        found: list[Payload] = []
        for _ in range(PAGES_MAX):
            page = await self.call("GET", "/channels/{channel_id}/messages", self._ids(), query=self._query(found))
            found = [*page, *found] if self.replies_to else [*found, *page]
            if len(page) < PAGE:
                return found, True
        return found, False

    def _query(self, found: Sequence[Payload]) -> dict[str, str]:
        """Of the next page. Each has the newest first; they go on from the question, or back from now."""
        if self.replies_to:
            return {"limit": str(PAGE), "after": str(found[0]["id"]) if found else self.replies_to}
        return {"limit": str(PAGE)} | ({"before": str(found[-1]["id"])} if found else {})

    async def typing(self) -> None:
        await self.call("POST", "/channels/{channel_id}/typing", self._ids())

    def _ids(self, message_id: str = "") -> dict[str, str]:
        return {"channel_id": self.channel} | ({"message_id": message_id} if message_id else {})


@dataclass(frozen=True, slots=True)
class Interaction:
    """What answers a slash command or a press, while its token lives: its first message is there already, and waits.

    Whoever asked alone sees what is ``private``. All else stands in ``channel``.
    """

    call: Call
    way: Way
    channel: str

    @property
    def private(self) -> bool:
        return self.way.mode != "public"

    async def post(self, message: Payload, files: Sequence[File], first: bool, nonce: str) -> str:
        if self.way.mode != "after" and first:
            try:
                await self.edit(ORIGINAL, message, files)
            except DiscordRefused as error:
                if error.code != UNKNOWN_MESSAGE:
                    raise
            else:
                return ORIGINAL
        flags = int(message.get("flags", 0)) | (EPHEMERAL if self.private else 0)
        made = await self.call(
            "POST", "/webhooks/{webhook_id}/{webhook_token}", self._ids(), {**message, "flags": flags}, files
        )
        return str(made["id"])

    async def edit(self, message_id: str, message: Payload, files: Sequence[File]) -> None:
        path = f"/webhooks/{{webhook_id}}/{{webhook_token}}/messages/{message_id}"
        await self.call("PATCH", path, self._ids(), message, files)

    async def delete(self, message_id: str) -> None:
        await self.call("DELETE", f"/webhooks/{{webhook_id}}/{{webhook_token}}/messages/{message_id}", self._ids())

    async def messages(self) -> tuple[list[Payload], bool]:
        """The token leads to the first message alone; what follows it is read in the channel, where that may be read."""
        if self.way.mode == "after":
            return [], False
        first: list[Payload] = []
        try:
            original = await self.call(
                "GET", f"/webhooks/{{webhook_id}}/{{webhook_token}}/messages/{ORIGINAL}", self._ids()
            )
        except DiscordRefused as error:
            if error.code != UNKNOWN_MESSAGE:
                raise
            behind = ""
        else:
            first.append({**original, "id": ORIGINAL})
            behind = str(original["id"])
        if self.private:
            return first, True
        try:
            following, all_of_it = await Channel(self.call, self.channel, behind).messages()
        except DiscordRefused as error:
            if error.retry_after_s is not None:
                raise
            # While it waits to be filled, nothing follows it.
            return first, bool(first) and bool(int(first[0].get("flags") or 0) & LOADING)
        return [*first, *following], all_of_it

    async def typing(self) -> None:
        return None  # Discord shows that the bot is thinking, from the moment of the acknowledgement

    def _ids(self) -> dict[str, str]:
        return {"webhook_id": self.way.application, "webhook_token": self.way.token}


def has_expired(error: PlatformError) -> bool:
    """Whether an interaction's token is not good any more."""
    return isinstance(error, DiscordRefused) and (error.code in EXPIRED or error.status == 401)
