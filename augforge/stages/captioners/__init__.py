"""Captioners: stages that say in words what images show. One class a file."""
