"""Pictures and sentences in one space: a small CLIP that names the damage it sees, or is told of in words."""
