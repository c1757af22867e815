"""What a builder may return, and the verbs that all of these forms have."""
