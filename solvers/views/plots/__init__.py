"""Pictures of results, from plain data: drawn with matplotlib, which loads only when one is asked for."""
