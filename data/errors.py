"""The base of errors that end a command or a start; importing it imports nothing else."""


class ExplainedError(Exception):
    """An error whose text is a sentence for the user and holds no secret."""
