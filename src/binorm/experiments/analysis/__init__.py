"""What a trained network does: accuracy, responses, costs."""
