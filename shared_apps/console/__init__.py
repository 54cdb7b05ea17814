"""The billing console: screens over the services of the other shared apps."""
