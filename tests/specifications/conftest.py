"""The scripted relay of the notifier's tests."""

from tests.notifier.conftest import relay, relay_settings  # noqa: F401 -- fixtures
