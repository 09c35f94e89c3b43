"""What training code imports: a run, its config, its log. Standard library only; no thread, no network."""
