"""The pure decisions of a sweep: what to start next, what to stop, when to end. No input or output."""
