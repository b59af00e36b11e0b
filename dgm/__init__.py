"""Deep generative models, one file per idea."""
