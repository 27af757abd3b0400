"""Lucidia: what a message needs, and which of the connected models serves it best. Pure functions."""
