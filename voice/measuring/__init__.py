"""What turns cost and how long they took."""
