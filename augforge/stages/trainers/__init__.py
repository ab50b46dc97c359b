"""Trainers: stages that learn a model from the images so far. One class a file."""
