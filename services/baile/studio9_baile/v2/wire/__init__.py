"""What `/v2.0` takes and gives, field by field. Answers never hold a null: what is absent is left out."""
