"""Screens. A screen turns a message into one operation and renders its result; it decides nothing."""
