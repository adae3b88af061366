"""What a repository's own history says: which files change together, and which scopes follow."""
