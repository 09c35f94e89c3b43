"""Containers: images of code, and programs that run in them."""
