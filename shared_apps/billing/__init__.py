"""What substations pay the main station: subscriptions, invoices, dunning, deposits. docs/billing.md tells how."""
