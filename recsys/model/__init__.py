"""The personal part: head weights, the hypernetwork that makes them, the scoring network they steer."""
