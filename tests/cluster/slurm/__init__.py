"""What `slurm_cluster` is made of: installation, configuration, daemons."""
