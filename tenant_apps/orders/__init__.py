"""Orders, their lines, their delivery, and every step of their lives."""
