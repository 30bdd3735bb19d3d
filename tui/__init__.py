"""What people see, and the composition root."""
