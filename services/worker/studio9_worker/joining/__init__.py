"""This machine as a member of a platform: how it joins, who it is, and what it asks Orion for."""
