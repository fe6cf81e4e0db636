"""Public catalogues of datasets as servers on loopback: how each pages, what it refuses, what it is known for."""
