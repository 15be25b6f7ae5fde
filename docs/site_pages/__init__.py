"""What makes the pages of losses and miners: their docstrings, and pictures of what they do to a toy batch."""
