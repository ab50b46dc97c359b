"""Splitters: stages that divide images into splits. One class a file."""
