"""The online service: HTTP in, titled recommendations out. Imports neither torchrec nor ray."""
