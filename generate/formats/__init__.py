"""Other programs' files of generators: read without executing anything of them."""
