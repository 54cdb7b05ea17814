"""The tenant admin panel: screens over the services of the other tenant apps."""
