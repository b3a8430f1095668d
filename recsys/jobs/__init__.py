"""One function a job; the command line and the pipelines call these and nothing deeper."""
