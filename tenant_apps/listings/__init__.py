"""What the shop sells: the synced copy of the library and the shop's own part beside it, and prices."""
