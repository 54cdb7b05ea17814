"""The substation's own face: name, logo, colour, notice, contact, zone. Read by every other tenant app."""
