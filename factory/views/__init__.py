"""What people and programs see: JSON documents, tables, the live board, plain lines."""
