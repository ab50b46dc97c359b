"""Selectors: stages that choose the subset worth keeping. One class a file."""
