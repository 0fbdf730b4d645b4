"""What is made of the mappings of a result: loops, runs, files of other tools."""
