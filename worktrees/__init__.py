"""Git work trees and what they hold: scopes, changes, merges. Knows git and nothing of stations or the line."""
