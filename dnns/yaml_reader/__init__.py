"""Networks from YAML files: the parser, the schema, repeated blocks, and the rules of shapes."""
