"""What an operator does to the installation as a whole, on the host."""
