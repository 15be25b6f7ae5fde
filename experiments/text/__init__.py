"""Text experiments."""
