"""Measurements: each starts its own servers, runs what it compares in turn, and says what it got."""
