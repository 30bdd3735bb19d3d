"""What the operator does to the whole installation, on the host.

May import: policy and what it may.
"""
