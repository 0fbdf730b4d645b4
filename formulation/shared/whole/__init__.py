"""The whole map space of shared ifmap tiles as one program."""
