"""Siamese networks at work, each application a subpackage on the same data, networks, losses and modules."""
