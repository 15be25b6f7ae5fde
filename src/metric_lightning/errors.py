"""Errors that are the user's to mend: one sentence says all, a traceback would hide it."""


class UserError(Exception):
    """Something in the data, the files or the settings can't work, and the message says what to
    change.

    The command line prints the message alone and exits with status 2.

    Example:
        >>> raise UserError("the training data has one class; give at least two")
        Traceback (most recent call last):
        metric_lightning.errors.UserError: the training data has one class; give at least two
    """


class DataNotFound(UserError):
    """Data are neither on this machine nor to be had; the message says what to put where."""
