"""What an address answers: a refusal in a sentence, or a body that a cache may keep."""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

FRESH_S = 2
LASTING = "public, max-age=31536000, immutable"
PASSING = f"public, max-age={FRESH_S}"
NOT_KEPT = "no-store"
"""For a refusal: an entry that is not there yet may be there in a moment."""


class NotTaken(Exception):
    """``sentence`` is for whoever sent the request."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


def kept(request: "Request", body: bytes, media_type: str, *, lasting: bool) -> "Response":
    """200, or 304 where the client has this body already. ``lasting``: this address never answers anything else."""
    from starlette.responses import Response

    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": LASTING if lasting else PASSING}
    given = ",".join(request.headers.getlist("if-none-match")).split(",")
    if any(item.strip().removeprefix("W/") in (tag, "*") for item in given):  # RFC 9110, 13.1.2: the weak comparison
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)


async def read_body(request: "Request", body_bytes_max: int) -> bytes:
    """The body, or 413 as soon as it is known to be too long: the rest is not read."""
    too_long = NotTaken(413, f"The body has more than {body_bytes_max:,} bytes.")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > body_bytes_max:
        raise too_long
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > body_bytes_max:
            raise too_long
        parts.append(part)
    return b"".join(parts)
