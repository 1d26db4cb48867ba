"""YAML files of the user, read safely: every mistake is answered with file, line and key."""

from gnv2_nas.documents.document import Document, read_document
from gnv2_nas.documents.plain_yaml import KeyPath, dotted

__all__ = ["Document", "KeyPath", "dotted", "read_document"]
