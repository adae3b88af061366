"""Related issues and pull requests: found, ranked, read, and said what they have in common."""
