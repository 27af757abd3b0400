"""The scenarios that need no page, against a sandbox of Stripe's own: the same as `make test` runs against our fake."""

import pytest

from tests.contract.payments.test_sandbox_scenarios import *  # noqa: F403  # each of them, whatever they are

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]
