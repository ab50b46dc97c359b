"""A terminal as more than a place for lines: single keys, and pictures where it can show some."""
