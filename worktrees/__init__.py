"""Git work trees and what they hold: scopes, changes, merges. Knows git and nothing above."""
