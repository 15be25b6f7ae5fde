"""What the comparison of experiments is made of; `experiments.compare` is its command."""
