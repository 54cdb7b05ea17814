"""What the panel's screens read beside the other apps' own selectors."""
