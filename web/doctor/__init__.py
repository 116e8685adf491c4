"""What `parley doctor` looks at: one file a subject, each a function from settings to findings."""
