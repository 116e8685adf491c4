"""What else can answer: one server or service, one file with a SPEC."""
