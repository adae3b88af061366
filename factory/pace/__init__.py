"""What limits the line, and what may be done about it: pure; measurements and chance come in."""
