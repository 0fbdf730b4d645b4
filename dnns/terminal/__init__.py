"""What the command lines share: options, tables, data frames, standard output and files."""
