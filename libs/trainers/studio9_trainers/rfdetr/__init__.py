"""RF-DETR through transformers (Apache-2.0): nothing here imports anything under a stricter licence."""
