"""The images of services and trainers: built by one recipe each, and measured."""
