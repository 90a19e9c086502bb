"""The interface for programs, which `cyclerdm_cli` offers by name: it restores as the command does."""
