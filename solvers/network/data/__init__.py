"""What a run found as plain data: the fields, what fills them, and the forms in which they are handed out."""
