"""Stations: where one kind of work is done inside a sandbox. Knows work trees and nothing of the line."""
