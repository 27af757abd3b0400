"""``carpool slack``: what is needed to set up the Slack app. It prints, and gives an exit status."""

import json

from bot.console import EXIT_OK, EXIT_USAGE, complain, say
from bot.platforms.slack_needs import manifest
from bot.settings import Settings

NO_ADDRESS = (
    "Over HTTP Slack has to reach CarPool, and nothing says where: set CARPOOL_PUBLIC_URL=https://..., or leave --http out for "
    "Socket Mode, which needs no address."
)


async def print_manifest(settings: Settings, *, http: bool, rotation: bool) -> int:
    """The manifest of the app, as JSON."""
    if http and not settings.public_url:
        complain(NO_ADDRESS)
        return EXIT_USAGE
    made = manifest(settings.public_url, socket=not http, rotation=rotation, tools=settings.slack_tools)
    say(json.dumps(made, indent=2))
    return EXIT_OK
