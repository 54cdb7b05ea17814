"""The shop's own money: its statement, synced from the ledger by the sync role. The shop can't write it."""
