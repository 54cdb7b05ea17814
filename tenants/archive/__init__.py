"""A substation as one file: written from one snapshot, checked before anything of it is believed, loaded whole or not at all."""
