"""What is true and what is allowed: rules, storage, the store and the operations."""
