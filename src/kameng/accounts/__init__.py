"""Who may do what, and who did what: users, API tokens, idempotency records, the audit trail.

The app's tables stand in the shared schema (people of the main station) and in every substation's (its staff).
Nobody is a user of two schemas by one row.
"""
