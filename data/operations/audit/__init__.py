"""What happened: the audit log, and the notices that tell users of it."""
