"""The audit log, and the notices that tell users what happened.

May import: what operations share, the store and below.
"""
