"""Whole runs as YAML files, and `python -m experiments.compare`, which compares them."""
