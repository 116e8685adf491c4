"""Who answers a request: the order of backends, what is known of each, and when one is left alone."""
