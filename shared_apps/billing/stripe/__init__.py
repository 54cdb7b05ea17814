"""Stripe Billing behind our own contract (shared_apps.billing.channel)."""
