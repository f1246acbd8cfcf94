"""A stock config, with a backbone of ours and a user's own data, to a new config."""
