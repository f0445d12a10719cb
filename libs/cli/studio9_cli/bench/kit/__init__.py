"""What benches are made with; the benches themselves lie beside this folder."""
