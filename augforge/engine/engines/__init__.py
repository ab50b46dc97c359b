"""Where units of work run: in this process, in others of this machine, on a Ray cluster, or in Slurm's array jobs."""
