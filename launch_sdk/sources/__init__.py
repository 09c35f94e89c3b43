"""Code, and a directory that it can be started in."""
