"""The model that answers, followed in the registry."""
