"""Generators: stages that make pixels. One class a file."""
