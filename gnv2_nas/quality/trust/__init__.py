"""How well each score ranks networks by their trained accuracy."""
