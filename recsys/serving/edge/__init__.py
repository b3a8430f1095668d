"""What stands between the port and the routes: keys, bounds, rates, counts."""
