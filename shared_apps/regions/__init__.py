"""Where shops are: the tree of regions, who holds one, and who asked for a shop in it."""
