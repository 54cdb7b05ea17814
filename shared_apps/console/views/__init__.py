"""Pages of the billing console, a module per subject. They authorise, load, call one service, and render."""
