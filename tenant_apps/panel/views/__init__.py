"""Screens, by subject. Each authorises, loads, parses, calls one service and draws."""
