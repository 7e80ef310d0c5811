"""What instruments do to the ground's motion, and undoing it: response, orientation, rate."""
