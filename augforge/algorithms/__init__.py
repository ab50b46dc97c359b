"""Numerical methods that know nothing of stages or runs."""
