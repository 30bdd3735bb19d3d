"""What may be done about a transaction that failed."""

from enum import Enum


class TransactionFailure(Enum):
    """What is known of a failed transaction, and so what may be done."""

    FAILED = "nothing of it was kept, and trying again at once would not help"
    CONFLICT = "nothing of it was kept, since it met another one: it is to run again"
    ONCE_MORE = "nothing of it was kept, and it may do better when run again"
    LOST = "nothing of it was kept: the database's file was moved, and this process can do nothing more"
    UNKNOWN = "the connection was lost while it was being committed: it may have been kept"
