"""What runs on several nodes and on data of any size, and the parts of the batch benchmark beside peers."""
