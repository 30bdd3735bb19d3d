"""Parts of screens and dialogs, which know neither."""
