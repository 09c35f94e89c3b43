"""What a program runs in."""
