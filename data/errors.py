"""The base of the errors that end a command or a start, apart so that naming it imports nothing else."""


class ExplainedError(Exception):
    """An error whose text is a sentence for the person in front of it, without anything secret."""
