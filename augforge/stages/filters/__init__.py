"""Filters: stages that judge one image by itself. One class a file."""
