"""What the program can do to a photograph: the tasks' words, and the damage that each one undoes."""
