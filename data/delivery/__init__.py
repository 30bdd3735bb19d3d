"""Delivery: handing messages over to their carriers, outside of any transaction and off the sign-in."""
