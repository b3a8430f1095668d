"""What the service follows and changes in the workspace's folder."""
