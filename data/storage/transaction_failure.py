"""What may be done about a transaction that failed."""

from enum import Enum


class TransactionFailure(Enum):
    """What is known of a failed transaction, and so what may be done."""

    FAILED = "nothing was kept, and trying again at once would not help"
    CONFLICT = "nothing was kept because it conflicted with another one: run it again"
    ONCE_MORE = "nothing was kept, but it may succeed when run again"
    LOST = "nothing was kept: the database's file was moved, and this process can do nothing more"
    UNKNOWN = "the connection was lost while it was being committed: it may have been kept"
