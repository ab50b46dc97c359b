"""Labelers: stages that give unlabelled images a class. One class a file."""
