"""Parts of the benchmarks of training speed: contestants, their data and rounds, and what a process measures."""
