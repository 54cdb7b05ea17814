"""Named by `DATABASES[...]["ENGINE"]`; see `base`."""
