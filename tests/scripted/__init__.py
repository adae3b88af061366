"""Model servers that answer from a script over real HTTP, and are as strict as the real ones."""
