"""Operations: one function, one transaction. They are the only writers of the database.

Each takes the transaction and the actor first, checks what the actor may do, and returns its result
or a denial as a value.
"""
