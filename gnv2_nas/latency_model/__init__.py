"""What a network would take on a device, predicted from its graph: never called a measurement."""
