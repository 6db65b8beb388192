"""What a sweep can compute: one file for each job."""
