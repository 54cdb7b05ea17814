"""The tenant of a project that uses django-tenants as its documentation shows: the peer of the provisioning bench."""
