"""Operations: one function, one transaction. They are the only writers of the database.

Each is called with the transaction and the actor first, has a guard check what the actor may do, and
returns its result or a denial as a value.

May import: the store, storage and rules.
"""
