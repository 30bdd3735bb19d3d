"""What several faces say of operations and their results, in English; no Textual, no click, no asyncssh."""
