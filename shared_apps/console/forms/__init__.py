"""Forms of the console: shape only; what is allowed is the services' to say."""
