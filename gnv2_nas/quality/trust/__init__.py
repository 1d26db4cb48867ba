"""How far each score orders networks like their trained accuracies."""
