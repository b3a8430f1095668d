"""What every route needs of HTTP: ids, problem documents, JSON, documentation."""
