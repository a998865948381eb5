"""The one exception that a user sees as a sentence instead of a traceback."""


class UserError(Exception):
    """What is wrong, where, and what to do about it, in one sentence.

    The commands print it and end with status 2; from Python it is an ordinary exception.
    """


class CannotGoOnError(UserError):
    """A `UserError` that whatever comes next would meet, too, such as a full disk."""
