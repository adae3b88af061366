"""Surveys: mirror, ranking, readers, causes, documents, command."""
