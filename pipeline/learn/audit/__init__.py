"""What in the images deserves a person's look, found without training a network beyond a probe."""

# No result depends on this module: it is no part of a run's identity.
