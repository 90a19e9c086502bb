"""Files <-> pictures: formats, metadata, names, atomic writing. Nothing in this room knows torch."""
