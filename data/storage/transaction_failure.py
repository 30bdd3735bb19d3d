"""What can be done about a failed transaction."""

from enum import Enum


class TransactionFailure(Enum):
    """What is known about a failed transaction, and so what can be done."""

    FAILED = "nothing was kept, and trying again at once would not help"
    CONFLICT = "nothing was kept because it conflicted with another one: run it again"
    ONCE_MORE = "nothing was kept, but it may succeed when run again"
    LOST = "nothing was kept: the database's file was moved, and this process can do nothing more"
    UNKNOWN = "the connection was lost while it was being committed: it may have been kept"
