"""The texts beside the chain: how a message, an answer and a command's arguments are written as payloads, and read back.

JSON with sorted keys; bytes as base64. A payload is read by this program only: what others verify is its commitment.
"""

import base64
import json
from dataclasses import dataclass

import orjson

from adapters.messages import (
    File,
    Image,
    Message,
    Part,
    ProviderName,
    ProviderState,
    Text,
    ToolCall,
    ToolCallId,
    ToolResult,
)
from bot.platforms.base import Address, Attached, Button, Incoming, PlatformName, Standing


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked, and where the reply goes. ``invocation`` is ``name arguments`` where it is a command.

    ``event`` is the platform's own name for the message. ``attached`` are files that lie with the platform; ``unread``: what
    others said in the thread before is not known yet.
    """

    address: Address
    parts: tuple[Part, ...]
    invocation: str
    event: str = ""
    attached: tuple[Attached, ...] = ()
    unread: bool = False
    standing: Standing = "member"

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))


ERASED = Asked(Address(PlatformName(""), "", "", "", ""), (), "")


def encode_asked(incoming: Incoming, invocation: str, keep_content: bool, unread: bool = False) -> bytes:
    """``keep_content`` is false for a message that is refused: then only the address is kept."""
    address = incoming.address
    parts: tuple[Part, ...] = (Text(incoming.text), *incoming.attachments) if keep_content else ()
    attached = incoming.attached if keep_content else ()
    return _dump(
        {
            "attached": [[item.name, item.media_type, item.size_bytes, item.reference] for item in attached],
            "event": incoming.event_identity,
            "standing": incoming.standing,
            "unread": unread,
            "address": {
                "platform": address.platform,
                "workspace": address.workspace,
                "channel": address.channel,
                "thread": address.thread,
                "person": address.person,
                "reply_url": address.reply_url,
            },
            "invocation": invocation,
            "parts": [_encode_part(part) for part in parts],
        }
    )


def decode_asked(body: bytes) -> Asked:
    data = orjson.loads(body)
    return Asked(
        Address(**data["address"]),
        tuple(_decode_part(part) for part in data["parts"]),
        data["invocation"],
        # Older payloads lack these.
        data.get("event", ""),
        tuple(Attached(*item) for item in data.get("attached", ())),
        data.get("unread", False),
        data.get("standing", "member"),
    )


@dataclass(frozen=True, slots=True)
class Said:
    """A reply as it is kept until it is posted."""

    text: str
    files: tuple[File, ...] = ()
    buttons: tuple[Button, ...] = ()


_MORE = b"\xff"
"""Before a reply that is more than its text: no UTF-8 begins like this."""


def encode_said(said: Said) -> bytes:
    """The text itself, where there is nothing else."""
    text = said.text.encode(errors="replace")
    if not said.files and not said.buttons:
        return text
    buttons = [[button.label, button.invocation, button.style] for button in said.buttons]
    return _MORE + _dump(
        {"buttons": buttons, "files": [_encode_part(file) for file in said.files], "text": text.decode()}
    )


def decode_said(body: bytes) -> Said:
    if not body.startswith(_MORE):
        return Said(body.decode())
    data = orjson.loads(body[len(_MORE) :])
    files = tuple(part for item in data["files"] if isinstance(part := _decode_part(item), File))
    return Said(data["text"], files, tuple(Button(*item) for item in data["buttons"]))


def encode_message(message: Message) -> bytes:
    return _dump({"role": message.role, "parts": [_encode_part(part) for part in message.parts]})


def decode_message(body: bytes) -> Message:
    data = orjson.loads(body)
    return Message(data["role"], tuple(_decode_part(part) for part in data["parts"]))


def _dump(value: dict[str, object]) -> bytes:
    """As UTF-8. Half a pair of surrogates, as a stream that is cut inside of a sign leaves it, becomes U+FFFD."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
        # Through UTF-16, where two halves that belong together become one sign.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _encode_part(part: Part) -> dict[str, object]:
    match part:
        case Text(text):
            return {"text": text}
        case Image(media_type, data):
            return {"image": base64.b64encode(data).decode(), "media_type": media_type}
        case File(name, media_type, data, text):
            file = {"file": base64.b64encode(data).decode(), "media_type": media_type, "name": name}
            return {**file, "text": text} if text else {**file}
        case ToolCall(id, name, arguments):
            return {"tool_call": id, "name": name, "arguments": arguments}
        case ToolResult(call_id, content, failed):
            return {"tool_result": call_id, "content": content, "failed": failed}
        case ProviderState(provider, payload):
            return {"provider_state": payload, "provider": provider}


def _decode_part(data: dict[str, str]) -> Part:
    match data:
        case {"text": text, **others} if not others:
            return Text(text)
        case {"image": image, "media_type": media_type}:
            return Image(media_type, base64.b64decode(image))
        case {"file": file, "media_type": media_type, "name": name}:
            return File(name, media_type, base64.b64decode(file), data.get("text", ""))
        case {"tool_call": call, "name": name, "arguments": arguments}:
            return ToolCall(ToolCallId(call), name, arguments)  # type: ignore[arg-type]  # an object, as it was encoded
        case {"tool_result": call, "content": content, "failed": failed}:
            return ToolResult(ToolCallId(call), content, bool(failed))
        case {"provider_state": payload, "provider": provider}:
            return ProviderState(ProviderName(provider), payload)
        case _:
            raise ValueError(f"no part is written like {sorted(data)}")
