"""The demo: the platform's whole main job on real images, through its public API. The end-to-end test runs the same."""
