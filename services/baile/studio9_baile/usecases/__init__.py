"""The rules of the domain. Both APIs are thin faces of these."""
