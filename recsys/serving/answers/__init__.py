"""One module a kind of answer; none knows HTTP."""
