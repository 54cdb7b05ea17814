"""Substations: plans, signup, provisioning, spare schemas, the state of their syncs."""
