"""Double entry, append-only, with its rules in the database. See docs/ledger.md."""
