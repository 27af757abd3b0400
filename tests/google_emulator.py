"""Google as the emulator ``emulate`` plays it: consent, tokens and a mailbox with a few mails."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from integrations.oauth import OAuthApp
from tests.emulators import PORT, running_emulator

CLIENT_ID, CLIENT_SECRET = "carpool.apps.googleusercontent.com", "GOCSPX-secret"
BACK = "https://carpool.example/connect/callback"
ANN = "ann@example.com"
SCOPE = "https://www.googleapis.com/auth/gmail.modify"
TOKEN = "test_token_ann"


@asynccontextmanager
async def emulated_google(folder: Path, messages: Sequence[Mapping[str, object]] = ()) -> AsyncIterator[str]:
    """Gives its base URL. ``TOKEN`` is one of Ann's."""
    seed = folder / "google-seed.json"
    config = {
        "tokens": {TOKEN: {"login": ANN, "scopes": [SCOPE]}},
        "google": {
            "users": [{"email": ANN, "name": "Ann"}],
            "oauth_clients": [
                {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "name": "CarPool", "redirect_uris": [BACK]}
            ],
            "labels": [{"id": "Label_ops", "user_email": ANN, "name": "Ops"}],
            "messages": [{"user_email": ANN, **message} for message in messages],
        },
    }
    seed.write_text(json.dumps(config), encoding="utf-8")
    async with running_emulator(
        "emulate", "start", "-s", "google", "-p", PORT, "--seed", str(seed), "--base-url", f"http://127.0.0.1:{PORT}"
    ) as url:
        yield url


def google_app(url: str) -> OAuthApp:
    return OAuthApp(
        "Google",
        CLIENT_ID,
        CLIENT_SECRET,
        (SCOPE,),
        f"{url}/o/oauth2/v2/auth",
        f"{url}/oauth2/token",
        f"{url}/oauth2/revoke",
        loopback=True,
        more={"access_type": "offline", "prompt": "consent"},
    )
