"""A personalised recommender that generates a scoring head for each user instead of storing one."""

__version__ = "0.1.0"
