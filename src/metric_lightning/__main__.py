"""`python -m metric_lightning` is the command line, like `metric-lightning`."""

from metric_lightning.cli import main

if __name__ == "__main__":
    main()
