"""What runs on several nodes, and on data of any size."""
