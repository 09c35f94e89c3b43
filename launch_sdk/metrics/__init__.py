"""Metrics of programs that do not log them through the run protocol themselves: read from what they write."""
