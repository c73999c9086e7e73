"""A slot's child process, which runs the job function with limits on time and memory."""
