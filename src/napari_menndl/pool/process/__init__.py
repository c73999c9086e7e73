"""One slot: a child process that calls the job function, watched for time, memory and life."""
