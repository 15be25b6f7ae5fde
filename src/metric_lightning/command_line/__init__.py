"""What the command line is made of; `metric_lightning.cli` puts it together."""
