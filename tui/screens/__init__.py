"""Screens, made from dialogs and widgets. A screen runs operations and shows results; it decides nothing."""
