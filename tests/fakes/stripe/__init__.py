"""A fake Stripe for tests: its own HTTP server, with the shapes and the refusals of the real one. See README.md."""

from .server import FakeStripe
from .state import Fault, Merchant

__all__ = ["FakeStripe", "Fault", "Merchant"]
