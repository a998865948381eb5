"""The one exception that a user sees as a sentence instead of a traceback."""


class UserError(Exception):
    """What is wrong, where, and what to do about it, in one sentence.

    The commands print it and end with status 2; from Python it is an ordinary exception.

    Parameters
    ----------
    sentence : str
        What is not printable in it, such as line ends in the names of files, is written out.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in sentence))


class CannotGoOnError(UserError):
    """A `UserError` that whatever comes next would meet, too, such as a full disk."""


def in_words(error: BaseException) -> str:
    """Kind and message of somebody else's exception, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
