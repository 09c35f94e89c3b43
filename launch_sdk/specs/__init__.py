"""Frozen values that cross a border, and their validation. No input or output but reading a given file."""
