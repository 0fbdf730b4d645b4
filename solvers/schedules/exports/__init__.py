"""A result's mappings as the files of other tools; one module a tool."""
