"""Stripe: Checkout Sessions through the official SDK, one client per account."""
