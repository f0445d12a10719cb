"""The documents port: versioned JSON documents. Aries and Argo alone use it."""
