"""Witnesses over HTTP: POST ``<prefix>/add-checkpoint`` (C2SP tlog-witness). What is said is decided in ``ledger.witness``."""

from types import TracebackType
from typing import TYPE_CHECKING

from ledger.witness import ANSWER_BYTES_MAX, Reply, WitnessUnavailable

if TYPE_CHECKING:
    from aiohttp import ClientSession


class HttpWitness:
    """Use as ``async with HttpWitness(prefix) as transport``: the connection is kept between checkpoints."""

    def __init__(self, prefix: str, timeout_s: float = 10.0) -> None:
        """``prefix`` is the witness's submission prefix, without a slash at its end."""
        self._url = f"{prefix.rstrip('/')}/add-checkpoint"
        self._timeout_s = timeout_s
        self._session: ClientSession | None = None

    async def __aenter__(self) -> "HttpWitness":
        from aiohttp import ClientSession, ClientTimeout  # 0.3 s to import, and only where a witness is set up

        self._session = ClientSession(timeout=ClientTimeout(total=self._timeout_s))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def add_checkpoint(self, body: bytes) -> Reply:
        """Redirects are not followed. Raises ``WitnessUnavailable``."""
        from aiohttp import ClientError

        if self._session is None:
            raise WitnessUnavailable("the connection to the witness is not open")
        try:
            async with self._session.post(self._url, data=body, allow_redirects=False) as response:
                answer = bytearray()
                async for chunk in response.content.iter_any():
                    answer += chunk
                    if len(answer) > ANSWER_BYTES_MAX:
                        raise WitnessUnavailable("the witness's answer is too long")
                return Reply(response.status, response.content_type, bytes(answer))
        except (TimeoutError, ClientError) as error:
            raise WitnessUnavailable(f"the witness cannot be reached: {error or type(error).__name__}") from error
