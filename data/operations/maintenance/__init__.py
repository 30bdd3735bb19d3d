"""What the operator does to the installation as a whole, on the host.

May import: policy and what it may.
"""
