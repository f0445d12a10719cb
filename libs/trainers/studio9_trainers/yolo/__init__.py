"""YOLO through Ultralytics (AGPL-3.0): nothing outside this folder imports it."""
