"""What people type into the panel; rules that another interface shares are the services'."""
