"""Filters of the panel."""
