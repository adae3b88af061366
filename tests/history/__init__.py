"""What a repository's history says."""
