"""YAML files that users write, read safely. Errors name file, line and key."""

from gnv2_nas.documents.document import Document, read_document
from gnv2_nas.documents.plain_yaml import KeyPath, format_key_path

__all__ = ["Document", "KeyPath", "format_key_path", "read_document"]
