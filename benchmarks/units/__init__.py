"""What `benchmarks/quality.py` consists of: units, how they are run and resumed, and the table made of them."""
